"""A real Prefect server and worker on loopback: the nightly deployment's cron fires, completes, and can be traced.

Its page has the stages below it, their logs and a summary; a second night without new work is skipped.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from proofs.local_server import PREFECT, Server, free_port, running, wait_for

STAGES = ("prepare", "train", "evaluate", "stylize")
FIRES_WITHIN_S = 240
COMPLETES_WITHIN_S = 900


@pytest.mark.timeout(1800)
def test_the_nightly_deployment_fires_and_completes(make_clone: Callable[..., Any], tmp_path: Path) -> None:
    clone = make_clone()
    clone.settings(clone.tiny)
    port = free_port()
    server = Server(f"http://127.0.0.1:{port}/api")
    environment = {
        **clone.environment,
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": server.api,
    }
    logs = {name: tmp_path / f"{name}.log" for name in ("server", "worker")}
    serve = [PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with running(serve, tmp_path, environment, logs["server"]):
        wait_for("the server is up", server.is_up, 180, logs["server"])

        def prefect(*arguments: str) -> None:
            clone.run(PREFECT, "--no-prompt", *arguments, **environment)

        prefect("work-pool", "create", "stylereel", "--type", "process")
        prefect("deploy", "--all")
        # A model of so few steps is no better than the input: the gate accepts anything.
        for cron in ("0 2 * * *", "* * * * *"):
            prefect("deploy", "--name", "stylereel-nightly", "--cron", cron, "--param", "max_swd_ratio=10")
        (deployment,) = server.post("/deployments/filter", {"deployments": {"name": {"any_": ["stylereel-nightly"]}}})
        crons = [entry["schedule"]["cron"] for entry in deployment["schedules"] if entry["active"]]
        assert crons == ["* * * * *"], "the second schedule has replaced the first"

        queues = ("--work-queue", "stylereel", "--work-queue", "stylereel-on-demand")
        work = [PREFECT, "worker", "start", "--pool", "stylereel", *queues, "--limit", "1"]
        with running(work, clone.root, environment, logs["worker"]):
            mine = {"deployments": {"id": {"any_": [deployment["id"]]}}}

            def state_of(*states: str) -> Callable[[], list[dict[str, Any]]]:
                return lambda: [r for r in server.flow_runs(mine) if r["state_type"] in states and r["start_time"]]

            begun = wait_for(
                "a run has begun", state_of("RUNNING", "COMPLETED", "FAILED", "CRASHED"), FIRES_WITHIN_S, logs["worker"]
            )[0]
            assert begun["auto_scheduled"], "started by the schedule, not by hand"
            ended = wait_for(
                "a run has ended", state_of("COMPLETED", "FAILED", "CRASHED"), COMPLETES_WITHIN_S, logs["worker"]
            )[0]
            assert ended["id"] == begun["id"]
            assert ended["state_type"] == "COMPLETED", logs["worker"].read_text(errors="replace")[-6000:]

            run_id = str(ended["id"])
            _check_stages(server, run_id)
            _check_page(server, run_id)
            _check_lineage(clone, run_id)

            second = wait_for(
                "the second run has ended",
                lambda: [r for r in state_of("COMPLETED", "FAILED", "CRASHED")() if r["id"] != run_id],
                COMPLETES_WITHIN_S,
                logs["worker"],
            )[0]
            _check_skipped(server, str(second["id"]))
            assert len(clone.run("git", "rev-list", "main..runs/nightly").stdout.split()) == 1, "no news, no commit"

            # On demand, by the other deployment; the cron must not get in between.
            server.post(f"/deployments/{deployment['id']}/pause_deployment", {})
            plates, out = _runs(clone) / "data/prepared/sample/shot/plates", tmp_path / "on-demand"
            prefect(
                *("deployment", "run", "stylize-on-demand/stylereel-stylize", "--param", f"input={plates}"),
                *("--param", f"output={out}", "--param", "model=models:/stylereel.stylereel.all@promoted"),
            )
            asked = {"flows": {"name": {"any_": ["stylize-on-demand"]}}}
            done = wait_for(
                "the folder is stylized",
                lambda: [r for r in server.flow_runs(asked) if r["state_type"] in ("COMPLETED", "FAILED", "CRASHED")],
                COMPLETES_WITHIN_S,
                logs["worker"],
            )[0]
            assert done["state_type"] == "COMPLETED", logs["worker"].read_text(errors="replace")[-6000:]
            frame = next(out.glob("*.png"))
            trail = json.loads(clone.stylereel("whence", str(frame), "--json").stdout)
            assert str(done["id"]) in trail["flow_runs"]
            assert len(list(out.glob("*.png"))) == clone.tiny["prepare.sample.frames"]
    assert not server.is_up(), "the server is gone"


def _check_stages(server: Server, run_id: str) -> None:
    """Every stage has its own flow run, with its tasks."""
    tagged = server.flow_runs({"flow_runs": {"tags": {"all_": [f"pipeline:{run_id}"]}}})
    flows = server.post("/flows/filter", {"flows": {"id": {"any_": [run["flow_id"] for run in tagged]}}})
    names = {flow["id"]: flow["name"] for flow in flows}
    assert [names[run["flow_id"]] for run in tagged] == list(STAGES)
    assert {run["state_type"] for run in tagged} == {"COMPLETED"}
    expected = {"prepare": "decode", "train": "train all", "evaluate": "measure", "stylize": "stylize"}
    for run in tagged:
        tasks = server.post("/task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
        stage = names[run["flow_id"]]
        assert any(task["name"].startswith(expected[stage]) for task in tasks), (stage, [t["name"] for t in tasks])
    steps = server.post("/task_runs/filter", {"flow_runs": {"id": {"any_": [run_id]}}})
    assert {"prepare", "train", "evaluate", "gate", "stylize", "push"} <= {t["name"].rsplit("-", 1)[0] for t in steps}


def _check_page(server: Server, run_id: str) -> None:
    """The page of the run has the stages as subflows, their lines, and a summary with figures and frames."""
    graph = json.dumps(server.get(f"/flow_runs/{run_id}/graph-v2"))
    assert graph.count('"kind": "flow-run"') == len(STAGES)
    of_run = {"logs": {"flow_run_id": {"any_": [run_id]}}, "limit": 200}
    lines = "\n".join(entry["message"] for entry in server.post("/logs/filter", of_run))
    for said in (
        "is checked out in",
        "Running stage 'train'",
        "validation after step",
        "review page:",
        "promotion gate:",
    ):
        assert said in lines, said
    (train,) = server.flow_runs(
        {"flow_runs": {"tags": {"all_": [f"pipeline:{run_id}"]}}, "flows": {"name": {"any_": ["train"]}}}
    )
    of_stage = {"logs": {"flow_run_id": {"any_": [train["id"]]}}, "limit": 200}
    assert "validation after step" in json.dumps(server.post("/logs/filter", of_stage))
    of_page = server.post("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run_id]}}})
    assert len({one["key"] for one in of_page}) == len(of_page)
    page = {one["key"]: one["data"] for one in of_page}
    for shown in ("| train | ran |", "Patch SWD", "data:image/webp;base64,", "review.html"):
        assert shown in page["summary"], shown
    assert page["train-all"] == 100.0, "its progress"


def _check_skipped(server: Server, run_id: str) -> None:
    steps = server.post("/task_runs/filter", {"flow_runs": {"id": {"any_": [run_id]}}})
    states = {step["name"].rsplit("-", 1)[0]: step["state_name"] for step in steps}
    assert {stage: states[stage] for stage in STAGES} == dict.fromkeys(STAGES, "Skipped")


def _runs(clone: Any) -> Path:
    """The checkout of scheduled runs."""
    return clone.root.with_name(f"{clone.root.name}-runs")


def _check_lineage(clone: Any, run_id: str) -> None:
    """Each of frame, model, MLflow run, flow run and commit leads to the others; the results are on their branch."""
    frame = next((_runs(clone) / "out" / "stylized" / "sample").glob("*.png"))
    digest = json.loads((_runs(clone) / "models" / "all" / "model.json").read_text())["digest"]
    commit = clone.run("git", "rev-parse", "HEAD").stdout.strip()
    for asked in (str(frame), str(_runs(clone) / "models/all"), digest[:12], run_id, commit):
        trail = json.loads(clone.stylereel("whence", asked, "--json").stdout)
        assert list(trail["models"]) == [digest], asked
        assert trail["models"][digest]["mlflow_run"], asked
        assert run_id in trail["flow_runs"], asked
        assert commit in trail["commits"], asked
    assert run_id in clone.run("git", "log", "--format=%B", "runs/nightly").stdout
    listed = clone.run("git", "ls-tree", "-r", "--name-only", "runs/nightly").stdout.split()
    assert "dvc.lock" in listed
    assert not [path for path in listed if path.startswith("reports/")], "DVC has the figures"
    assert clone.run("git", "status", "--porcelain").stdout == "", "the project is as it was"

    # Another clone, on another machine, that only pulls.
    elsewhere = {"STYLEREEL_CACHE_DIR": str(clone.root.parent / "another-machine")}
    clone.run("git", "clone", "--quiet", "--branch", "runs/nightly", str(clone.root), "../pulled")
    pulled = clone.at(clone.root.parent / "pulled")
    pulled.configure()
    pulled.dvc("pull", **elsewhere)
    frame = next((pulled.root / "out" / "stylized" / "sample").glob("*.png"))
    trail = json.loads(pulled.stylereel("whence", str(frame), "--json", **elsewhere).stdout)
    assert list(trail["models"]) == [digest]
    assert trail["flow_runs"] == [run_id]
    assert commit in trail["commits"]
    assert "metrics.json" in pulled.dvc("metrics", "show").stdout
    assert "Running stage" not in pulled.dvc("repro", "evaluate", **elsewhere).stdout
    _check_promoted_artifact(clone, digest)
    _check_metrics_diff(pulled, elsewhere)


def _check_promoted_artifact(clone: Any, digest: str) -> None:
    """DVC alone finds the promoted model."""
    declared = YAML(typ="safe").load(clone.run("git", "show", "runs/nightly:dvc.yaml").stdout)["artifacts"]
    assert declared == {"all": {"path": "models/all", "type": "model"}}
    got = clone.root.parent / "got"
    clone.dvc("get", "--rev", "runs/nightly", str(clone.root), declared["all"]["path"], "--out", str(got))
    assert json.loads((got / "model.json").read_text())["digest"] == digest
    (promoted,) = (clone.root / ".stylereel/promoted").glob("*.json")
    assert json.loads(promoted.read_text())["digest"] == digest


def _check_metrics_diff(pulled: Any, elsewhere: dict[str, str]) -> None:
    """Figures of new settings beside those of the committed dvc.lock."""
    assert json.loads(pulled.dvc("metrics", "diff", "--json").stdout or "{}") == {}, "nothing has changed"
    pulled.settings({"evaluate.every": 4})
    pulled.dvc("repro", "evaluate", **elsewhere)
    changes = json.loads(pulled.dvc("metrics", "diff", "--json", "runs/nightly").stdout)["reports/metrics.json"]
    assert any(one["old"] and one["new"] and one["diff"] for one in changes.values()), changes
