"""The pipeline's order: stages one after the other, the gate before stylize, then links, push and the branch."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from flows import chain as chain_module
from flows.chain import ChainSettings, chain
from flows.runners.local_runner import LocalRunner
from tasks.project.init_project import init_project
from tasks.project.params_file import render_params
from tasks.promotion.decision import Decision
from tasks.promotion.gate import GateResult
from tasks.shared.child_processes.time_limit import TimeLimit, time_limit
from tasks.shared.errors import StoppedError, TimeLimitError, UsageError
from tasks.shared.gate import GateError
from tasks.shared.lineage import PipelineLink
from tasks.shared.versioning import VersioningError, commit_all

_IDENTITY = ("-c", "user.name=a", "-c", "user.email=a@b.c")


class _Noting:
    """A runner that notes names, and calls only what needs no dvc."""

    distributed = False

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
        if name == "summary":
            return "a text"
        return None if name == "promote" else function(*args, **kwargs)

    def map(self, name: str, function: Callable[[Any], Any], items: Any, /) -> list[Any]:
        return [function(item) for item in items]

    def progress(self, name: str, unit: str) -> Any:
        raise AssertionError("the chain itself has no progress")

    def publish(self, name: str, markdown: str) -> None:
        self.names.append(f"publish {name}")


def _decided(outcome: Any) -> GateResult:
    if outcome == "refused anew":
        raise GateError("all is not promoted: worse")
    decision = Decision(training="all", outcome=outcome, reason="refused on Monday", digest="d", time="t")
    return GateResult((decision,))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("/reports/\n/.stylereel/\n")
    subprocess.run(["git", "add", ".gitignore"], cwd=tmp_path, check=True)
    subprocess.run(["git", *_IDENTITY, "commit", "-qm", "start"], cwd=tmp_path, check=True)
    _figures(tmp_path)
    return tmp_path


def _figures(root: Path) -> None:
    (root / "reports").mkdir(exist_ok=True)
    (root / "reports" / "metrics.json").write_text("{}")


def test_the_order(root: Path) -> None:
    runner = _Noting()
    chain(runner, root, ChainSettings())
    order = ["sync", "prepare", "train", "evaluate", "gate", "promote", "stylize", "lineage"]
    assert runner.names == [*order, "push", "summary", "publish summary"]


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
    link = chain(runner, root, ChainSettings())
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


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new project with DVC's pictures faked by git's, which a clone has without DVC."""
    monkeypatch.setenv("HOME", str(tmp_path / "empty-home"))
    film = init_project(tmp_path / "film")
    (film / ".gitignore").write_text((film / ".gitignore").read_text().replace("/plates/\n/painted/\n", ""))
    for kind in ("plates", "painted"):
        (film / kind / "my_shot" / "shot.0001.png").write_bytes(b"a picture")
    commit_all(film, "Pictures", [".gitignore", "plates", "painted"])
    return film


class _Night(_Noting):
    """A scheduled run whose stages write dvc.lock and figures, as dvc does."""

    def __init__(self, film: Path, lock: str) -> None:
        super().__init__()
        self.runs, self._lock = film.with_name("film-runs"), lock

    def run(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if name == "evaluate":
            _figures(self.runs)
            (self.runs / "dvc.lock").write_text(self._lock)
        return super().run(name, function, *args, **kwargs)


def _log(root: Path, branch: str) -> list[str]:
    shown = ["git", "log", "--format=%H", branch]
    return subprocess.run(shown, cwd=root, check=True, capture_output=True, text=True).stdout.split()


def test_a_scheduled_run_leaves_the_project_alone_and_commits_to_its_branch(film: Path) -> None:
    (film / "params.yaml").write_text("an edit that is not committed\n")
    before = {path: path.read_bytes() for path in film.glob("*") if path.is_file()}
    runner = _Night(film, "schema: '2.0'\n")
    link = chain(runner, film, ChainSettings(scheduled=True))
    assert runner.names[:2] == ["fetch", "sync"]
    assert runner.names[-5:] == ["push", "publish", "summary", "publish summary", "retention"]
    assert {path: path.read_bytes() for path in film.glob("*") if path.is_file()} == before
    listed = ["git", "ls-tree", "-r", "--name-only", "runs/nightly"]
    files = subprocess.run(listed, cwd=film, check=True, capture_output=True, text=True).stdout.split()
    assert "dvc.lock" in files
    assert not [path for path in files if path.startswith("reports")], "DVC holds them"
    assert link.runs_commit == _log(film, "runs/nightly")[0], "pushed to the project"


@pytest.mark.parametrize("error", [TimeLimitError("the run"), ConnectionError("the server refuses a task")])
def test_a_night_that_has_delivered_does_not_fail_by_its_retention(
    film: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    class Late(_Night):
        def run(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            if name == "retention":
                raise error
            return super().run(name, function, *args, **kwargs)

    assert chain(Late(film, "schema: '2.0'\n"), film, ChainSettings(scheduled=True)).runs_commit
    assert f"old runs were not removed, the next scheduled run tries again: {error}" in caplog.text


def test_a_night_removes_runs_of_the_age_in_the_project(film: Path) -> None:
    ages: list[float] = []

    class Noting(_Night):
        def run(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            if name == "retention":
                ages.append(args[1])
                return None
            return super().run(name, function, *args, **kwargs)

    for text in ("limits: {keep_days: 30}\n", "a text that is no section\n"):
        (film / "params.yaml").write_text(text)
        chain(Noting(film, "schema: '2.0'\n"), film, ChainSettings(scheduled=True))
    assert ages == [30.0, 0.0]


def test_a_night_without_news_commits_nothing(film: Path) -> None:
    tips = []
    for lock in ("one\n", "one\n", "two\n"):
        chain(_Night(film, lock), film, ChainSettings(scheduled=True))
        tips.append(_log(film, "runs/nightly")[0])
    assert tips[0] == tips[1] != tips[2]


def test_the_next_night_has_what_was_committed_by_day(film: Path) -> None:
    chain(_Night(film, "one\n"), film, ChainSettings(scheduled=True))
    (film / "README.md").write_text("new work\n")
    commit_all(film, "New work", ["README.md"])
    chain(_Night(film, "one\n"), film, ChainSettings(scheduled=True))
    assert (film.with_name("film-runs") / "README.md").read_text() == "new work\n"
    assert _log(film, "main")[0] in _log(film, "runs/nightly")


def test_pictures_that_only_the_project_has_are_named(film: Path) -> None:
    subprocess.run(["git", "mv", "plates", "elsewhere"], cwd=film, check=True)
    subprocess.run(["git", *_IDENTITY, "commit", "-qm", "Move the plates"], cwd=film, check=True)
    with pytest.raises(UsageError, match=r"plates/my_shot: not in the checkout.*dvc add"):
        chain(_Night(film, "one\n"), film, ChainSettings(scheduled=True))


def _commit(root: Path, path: str, text: str) -> None:
    (root / path).write_text(text)
    subprocess.run(["git", *_IDENTITY, "commit", "-qm", "edit", "--", path], cwd=root, check=True)


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


def test_the_error_of_a_stage_reaches_the_pipeline(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(root: Path, stage: str, **_: Any) -> None:
        left = {"stage": stage, "code": 2, "message": "prepare.content does not exist"}
        (root / ".stylereel" / "last-exit.json").write_text(json.dumps(left))
        raise VersioningError("dvc failed with exit code 1")

    monkeypatch.setattr(chain_module, "reproduce", failing)
    with pytest.raises(UsageError, match=r"prepare: prepare\.content does not exist"):
        chain(LocalRunner(), root, ChainSettings())


def test_a_stage_that_hangs_ends_the_pipeline_with_its_time_limit(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With dvc's place taken by a program that hangs; the stages before it are done."""
    (root / "params.yaml").write_text(render_params({"limits.train_hours": 5.0 / 3600.0}))
    monkeypatch.setattr(chain_module, "sync", lambda _: None)
    (root / "stand_in").mkdir()
    hanging = "import sys, time\nprint(*sys.argv[1:], flush=True)\nif 'train' in sys.argv: time.sleep(600)\n"
    (root / "stand_in" / "dvc.py").write_text(hanging)
    monkeypatch.setenv("PYTHONPATH", f"{root / 'stand_in'}{os.pathsep}{Path(__file__).parents[2]}")
    began_s = time.monotonic()
    with pytest.raises(TimeLimitError, match=r"^train: stopped .* raise limits\.train_hours in params\.yaml"):
        chain(LocalRunner(), root, ChainSettings())
    assert time.monotonic() - began_s < 60


def test_the_wait_for_another_pipeline_ends_with_the_limit_of_the_run(root: Path) -> None:
    (root / ".stylereel").mkdir()
    limit = TimeLimit.start("pipeline", "limits.run_hours", 1.0 / 3600.0)
    with (
        FileLock(root / ".stylereel" / "pipeline.lock"),
        time_limit(limit),
        pytest.raises(TimeLimitError, match=r"limits\.run_hours"),
    ):
        chain(_Noting(), root, ChainSettings(lock_wait_s=300.0))
