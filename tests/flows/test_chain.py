"""The pipeline's order: stages one after the other, the gate before stylize, then links, push and the branch."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from flows import chain as chain_module
from flows.chain import ChainSettings, chain, refuse_changes
from flows.runners.local_runner import LocalRunner
from tasks.project.init_project import init_project
from tasks.promotion.decision import Decision
from tasks.promotion.gate import GateResult
from tasks.shared.errors import StoppedError, UsageError
from tasks.shared.gate import GateError
from tasks.shared.lineage import PipelineLink
from tasks.shared.versioning import VersioningError, git_state


class _Noting:
    """A runner that notes names, and calls only what needs no dvc."""

    def __init__(self, fail: str = "", gate: str = "promoted") -> None:
        self.gate = gate
        self.names: list[str] = []
        self.environments: list[Any] = []
        self._fail = fail

    def run(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self.names.append(name)
        self.environments.append(kwargs.get("environment"))
        if name == self._fail:
            raise VersioningError(name)
        if name == "gate":
            return _decided(self.gate)
        if name in ("prepare", "train", "evaluate", "stylize", "push"):
            return None
        if name == "lineage":
            return PipelineLink(flow_run_id="", dvc_lock="", models={}, gate="", time="")
        return None if name == "promote" else function(*args, **kwargs)

    def map(self, name: str, function: Callable[[Any], Any], items: Any, /) -> list[Any]:
        return [function(item) for item in items]


def _decided(outcome: Any) -> GateResult:
    if outcome == "refused anew":
        raise GateError("all is not promoted: worse")
    decision = Decision(training="all", outcome=outcome, reason="refused on Monday", digest="d", time="t")
    return GateResult((decision,))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    (tmp_path / ".gitignore").write_text("/reports/\n/.stylereel/\n")
    subprocess.run(["git", "add", ".gitignore"], cwd=tmp_path, check=True)
    subprocess.run(["git", *identity, "commit", "-qm", "start"], cwd=tmp_path, check=True)
    _figures(tmp_path)
    return tmp_path


def _figures(root: Path) -> None:
    (root / "reports").mkdir(exist_ok=True)
    (root / "reports" / "metrics.json").write_text("{}")


def test_the_order(root: Path) -> None:
    runner = _Noting()
    chain(runner, root, ChainSettings())
    order = ["sync", "prepare", "train", "evaluate", "gate", "promote", "stylize", "lineage", "push"]
    assert runner.names == order


def test_no_push_where_none_is_wanted(root: Path) -> None:
    runner = _Noting()
    chain(runner, root, ChainSettings(push=False))
    assert "push" not in runner.names


def test_a_failed_stage_stops_the_rest(root: Path) -> None:
    runner = _Noting(fail="train")
    with pytest.raises(VersioningError):
        chain(runner, root, ChainSettings())
    assert runner.names == ["sync", "prepare", "train"]


def test_the_gate_keeps_a_bad_model_from_the_shots(root: Path) -> None:
    runner = _Noting(gate="refused anew")
    with pytest.raises(GateError, match="not promoted"):
        chain(runner, root, ChainSettings())
    assert runner.names[-1] == "gate"


@pytest.mark.parametrize("outcome", ["refused", "rolled back", "held"])
def test_what_was_refused_before_ends_the_run_without_an_error(
    root: Path, outcome: str, caplog: pytest.LogCaptureFixture
) -> None:
    runner = _Noting(gate=outcome)
    link = chain(runner, root, ChainSettings(scheduled=True))
    assert runner.names[-1] == "gate"
    assert link.refused
    assert link.models == {}
    assert f"stylize is skipped, and its frames stay those of the promoted models: all: {outcome}" in caplog.text
    assert not (root / ".stylereel" / "lineage").exists()


def test_stages_learn_the_flow_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_module, "flow_run_id", lambda: "run-1")
    runner = _Noting()
    chain(runner, root, ChainSettings())
    assert {"STYLEREEL_FLOW_RUN_ID": "run-1"} in runner.environments


def test_a_scheduled_run_commits_to_its_branch_and_leaves_the_checkout(root: Path) -> None:
    (root / "dvc.lock").write_text("schema: '2.0'\n")
    for _ in range(2):
        chain(_Noting(), root, ChainSettings(scheduled=True))
    listed = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", "runs/nightly"], cwd=root, check=True, capture_output=True, text=True
    ).stdout.split()
    assert listed == [".gitignore", "dvc.lock", "reports/metrics.json"]
    refuse_changes(root)  # dvc.lock alone does not make the next run refuse
    history = ["git", "rev-list", "--count", "runs/nightly"]
    assert subprocess.run(history, cwd=root, check=True, capture_output=True, text=True).stdout.strip() == "3"


def test_what_sync_rewrites_is_committed_and_does_not_stop_the_next_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "empty-home"))
    film = init_project(tmp_path / "film")
    _commit(film, "params.yaml", (film / "params.yaml").read_text().replace("plates/my_shot", "plates/other"))
    _commit(film, ".stylereel-code/train.txt", "of an earlier version\n")
    _figures(film)
    for _ in range(2):
        chain(_Noting(), film, ChainSettings(scheduled=True))
    assert set(git_state(film).changed) == {"dvc.yaml", ".stylereel-code/train.txt"}
    for path in ("dvc.yaml", ".stylereel-code/train.txt"):
        shown = ["git", "show", f"runs/nightly:{path}"]
        committed = subprocess.run(shown, cwd=film, check=True, capture_output=True, text=True).stdout
        assert committed == (film / path).read_text()
    (film / "dvc.yaml").write_text((film / "dvc.yaml").read_text() + "# by hand\n")
    with pytest.raises(VersioningError, match=r"\(dvc\.yaml\)"):
        refuse_changes(film)


def _commit(root: Path, path: str, text: str) -> None:
    (root / path).write_text(text)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", *identity, "commit", "-qm", "edit", "--", path], cwd=root, check=True)


def test_a_scheduled_run_refuses_changes(root: Path) -> None:
    (root / "new.txt").write_text("not committed")
    runner = _Noting()
    with pytest.raises(VersioningError, match=r"new\.txt"):
        chain(runner, root, ChainSettings(scheduled=True))
    assert runner.names == ["check the tree"]


def test_a_commit_during_the_run_is_not_the_origin_of_its_results(root: Path) -> None:
    class Committing(_Noting):
        def run(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            if name == "evaluate":
                _commit(root, ".gitignore", "/reports/\n/.stylereel/\n/more/\n")
            return super().run(name, function, *args, **kwargs)

    runner = Committing()
    with pytest.raises(VersioningError, match=r"changed from [0-9a-f]{12} to [0-9a-f]{12} during the run"):
        chain(runner, root, ChainSettings())
    assert not {"stylize", "lineage", "push"} & set(runner.names)


def test_a_schedule_is_no_change_of_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "empty-home"))
    film = init_project(tmp_path / "film")
    (film / "prefect.yaml").write_text((film / "prefect.yaml").read_text().replace("0 2 * * *", "0 4 * * *"))
    refuse_changes(film)


def test_a_pipeline_says_that_it_waits_for_another_one(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / ".stylereel").mkdir()
    with (
        FileLock(root / ".stylereel" / "pipeline.lock"),
        caplog.at_level("INFO", "flows.chain"),
        pytest.raises(StoppedError, match="another pipeline has been running"),
    ):
        chain(_Noting(), root, ChainSettings(lock_wait_s=0.1))
    assert "waiting for its end" in caplog.text
    chain(_Noting(), root, ChainSettings(lock_wait_s=0.1))


def test_a_scheduled_run_needs_a_commit(tmp_path: Path) -> None:
    with pytest.raises(VersioningError, match="no git commit"):
        refuse_changes(tmp_path)


def test_the_error_of_a_stage_reaches_the_pipeline(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(root: Path, stage: str, **_: Any) -> None:
        left = {"stage": stage, "code": 2, "message": "prepare.content does not exist"}
        (root / ".stylereel" / "last-exit.json").write_text(json.dumps(left))
        raise VersioningError("dvc failed with exit code 1")

    monkeypatch.setattr(chain_module, "reproduce", failing)
    with pytest.raises(UsageError, match=r"prepare: prepare\.content does not exist"):
        chain(LocalRunner(), root, ChainSettings())
