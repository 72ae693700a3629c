"""``up``, ``schedule``, ``status`` and ``down`` as processes, without systemd: one project, two, and a power cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proofs.local_server import PREFECT, wait_for
from proofs.machine import ANY_MODEL, ENDS_WITHIN_S, Machine, kill_everything, processes


@pytest.mark.timeout(1800)
def test_from_init_to_a_night_and_back(new_film: Any, machine: Machine, tmp_path: Path) -> None:
    film = new_film("film")
    before = machine.status(film)
    assert (before["answers"], before["runs"]) == (False, [])
    assert "stylereel up" in film.stylereel("status").stdout

    machine.up(film)
    records = sorted((film.home / ".local/state/stylereel").rglob("*.json"))
    first = [path.read_text() for path in records]
    assert "Starting" not in machine.up(film), "the second call changes nothing"
    assert [path.read_text() for path in records] == first
    assert all(one["up"] for one in machine.status(film)["services"])

    for cron in ("0 2 * * *", "30 3 * * *"):
        said = film.stylereel("schedule", cron, "--timezone", "Europe/Berlin").stdout
    assert said.count("  next: ") == 3
    assert [one["schedule"]["cron"] for one in machine.deployment("film-nightly")["schedules"]] == ["30 3 * * *"]
    assert len(machine.status(film)["next"]) >= 1
    film.stylereel("schedule", "off")
    assert machine.deployment("film-nightly")["schedules"] == []
    assert film.stylereel("schedule", "61 * * * *", check=False).returncode == 2

    run = machine.wait_until_ended(film, machine.start_run("film-nightly", ANY_MODEL))
    assert run["state"] == "Completed", machine.log(film).read_text(errors="replace")[-6000:]
    assert run["start"] < run["end"]

    assert "worker" in film.stylereel("down").stdout
    assert not machine.server.is_up()
    assert processes(tmp_path) == []
    assert "Nothing was running" in film.stylereel("down").stdout


@pytest.mark.timeout(1800)
def test_two_projects_on_one_server(new_film: Any, machine: Machine, tmp_path: Path, tiny_model_folder: Path) -> None:
    film, namesake = (new_film(f"{place}/film") for place in ("a", "b"))
    machine.up(film)
    film.stylereel("schedule", "0 2 * * *")
    before = machine.deployment("film-nightly")

    deploy = {"PREFECT_API_URL": machine.server.api, "PREFECT_HOME": str(tmp_path / "prefect")}
    for refused in (
        namesake.stylereel("up", check=False),
        namesake.stylereel("schedule", "0 5 * * *", check=False),
        namesake.stylereel("worker", check=False),
    ):
        assert refused.returncode == 2
        assert "change the name in project.yaml" in refused.stderr
    refused = namesake.run(PREFECT, "--no-prompt", "deploy", "--all", check=False, **deploy)
    assert "belongs to another project" in " ".join((refused.stdout + refused.stderr).split())
    assert machine.deployment("film-nightly") == before

    for name in ("project.yaml", "prefect.yaml"):
        path = namesake.root / name
        path.write_text(path.read_text().replace('"film', '"reel').replace("name: film", "name: reel"))
    namesake.run("git", "commit", "--quiet", "--all", "--message", "Another name")
    machine.up(namesake)
    namesake.run(PREFECT, "--no-prompt", "deploy", "--all", **deploy)
    namesake.stylereel("schedule", "0 5 * * *")
    runs = {"film-stylize": (film, namesake), "reel-stylize": (namesake, film)}
    folders = {"input": str(tmp_path / "nowhere"), "output": str(tmp_path / "out")}
    parameters = {**folders, "model": str(tiny_model_folder)}
    begun = {name: machine.start_run(name, parameters) for name in runs}
    for name, (own, other) in runs.items():
        run = machine.wait_until_ended(own, begun[name])
        assert run["state"] == "Failed", "there is no such input"
        assert "nowhere" in run["reason"]
        for worker in ("worker", "on-demand-worker"):
            log = machine.log(own, worker).read_text(errors="replace")
            assert (run["name"] in log) == (worker == "on-demand-worker"), log[-6000:]
            assert run["name"] not in machine.log(other, worker).read_text(errors="replace")
        assert begun[name] not in [one["id"] for one in machine.status(other)["runs"]]

    said = film.stylereel("down").stdout
    assert "The Prefect server goes on" in said
    assert machine.server.is_up()
    namesake.stylereel("down")
    assert processes(tmp_path) == []


@pytest.mark.timeout(1800)
def test_down_saves_a_training_and_up_resumes_after_a_power_cut(
    new_film: Any, machine: Machine, tmp_path: Path
) -> None:
    film = new_film("film", steps=30_000)
    machine.up(film)
    film.stylereel("schedule", "0 2 * * *")

    def trained_steps() -> int:
        names = Path(film.environment["STYLEREEL_CACHE_DIR"]).glob("train/*/checkpoint-*.safetensors")
        return max((int(path.stem.rpartition("-")[2]) for path in names), default=0)

    run = machine.start_run("film-nightly", ANY_MODEL)
    wait_for("a checkpoint", lambda: trained_steps() >= 20, ENDS_WITHIN_S, machine.log(film))
    log = machine.log(film)
    film.stylereel("down")
    assert processes(tmp_path) == [], "the training has ended, too"
    saved = trained_steps()

    machine.up(film)
    assert machine.wait_until_ended(film, run)["state"] == "Crashed"
    if not [one for one in machine.status(film)["runs"] if one["end"] is None]:
        machine.start_run(
            "film-nightly", ANY_MODEL
        )  # the flow run could still end by itself: an orderly stop is not resumed
    wait_for("the training goes on", lambda: trained_steps() > saved + 20, ENDS_WITHIN_S, log)

    assert kill_everything(tmp_path) >= 6, "server, worker, MLflow, flow, dvc and stage"
    killed = trained_steps()
    machine.up(film)
    wait_for("the work goes on", lambda: trained_steps() > killed + 20, ENDS_WITHIN_S, log)
    states = [one["state"] for one in machine.status(film)["runs"]]
    assert states[:2] == ["Running", "Crashed"]
    film.stylereel("down")
    assert processes(tmp_path) == []
