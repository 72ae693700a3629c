"""git and dvc from one place: waiting for a held lock, stopping on a failure, a branch beside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tasks.shared import versioning
from tasks.shared.child_processes.time_limit import HOUR_S, TimeLimit, time_limit
from tasks.shared.errors import TimeLimitError
from tasks.shared.versioning import (
    VersioningError,
    child_environment,
    git,
    git_state,
    lock_digest,
    project_root,
    reproduce,
    run_dvc,
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    _git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "params.yaml").write_text("{}\n")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "start")
    return tmp_path


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def _stand_in(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a module called dvc, which runs ``code``, in the place of the real one."""
    (folder / "stand_in").mkdir()
    (folder / "stand_in" / "dvc.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(folder / "stand_in"))


def test_the_state_of_a_clean_and_a_dirty_tree(repository: Path) -> None:
    assert not git_state(repository).dirty
    assert git_state(repository).commit == _git(repository, "rev-parse", "HEAD").strip()
    (repository / "dvc.lock").write_text("written by every run")
    assert not git_state(repository).dirty
    (repository / "params.yaml").write_text("prepare: {}\n")
    assert git_state(repository).changed == ("params.yaml",)


def test_outside_of_git_there_is_no_commit(tmp_path: Path) -> None:
    assert git_state(tmp_path).commit is None


def test_a_queued_experiment_belongs_to_the_outer_project(repository: Path) -> None:
    inner = repository / ".dvc" / "tmp" / "exps" / "standalone" / "tmp1"
    (inner / "data").mkdir(parents=True)
    (inner / "params.yaml").write_text("{}\n")
    assert project_root(inner) == repository
    assert project_root(inner / "data") == repository
    assert project_root(repository) == repository


@pytest.fixture(params=["project", "output"])
def held_lock(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What dvc itself says of each of its two locks while another process holds it."""
    from dvc.fs import localfs
    from dvc.lock import FAILED_TO_LOCK_MESSAGE, LockError
    from dvc.rwlock import rwlock

    if request.param == "project":
        return str(FAILED_TO_LOCK_MESSAGE)
    models = str(tmp_path / "models")
    with (
        rwlock(str(tmp_path), localfs, "dvc repro", [], [models], False),
        pytest.raises(LockError) as refused,
        rwlock(str(tmp_path), localfs, "dvc push", [models], [], False),
    ):
        pass
    return str(refused.value)


def test_a_held_lock_is_waited_for(
    held_lock: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    code = (
        "import pathlib, sys\ncalls = pathlib.Path('calls')\n"
        "calls.write_text((calls.read_text() if calls.exists() else '') + 'x')\n"
        f"if calls.read_text() != 'xxx':\n    sys.exit({'ERROR: ' + held_lock!r})\n"
    )
    _stand_in(tmp_path, code, monkeypatch)
    pauses: list[float] = []
    monkeypatch.setattr(versioning.time, "sleep", pauses.append)
    with caplog.at_level("INFO"):
        run_dvc(tmp_path, ["repro"])
    assert (tmp_path / "calls").read_text() == "xxx"
    assert len(pauses) == 2
    assert 0 < pauses[0] < pauses[1]
    assert [r.message for r in caplog.records if "another dvc holds the lock" in r.message and "3600 s" in r.message]


def test_a_lock_that_stays_is_an_error(held_lock: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(tmp_path, f"import sys\nsys.exit({held_lock!r})", monkeypatch)
    with pytest.raises(VersioningError, match="project's lock"):
        run_dvc(tmp_path, ["repro"], lock_wait_s=0.0)


def test_a_failed_stage_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(tmp_path, "import sys\nopen('calls', 'a').write('x')\nsys.exit(255)", monkeypatch)
    with pytest.raises(VersioningError, match="exit code 255"):
        run_dvc(tmp_path, ["repro", "--single-item", "train"])
    assert (tmp_path / "calls").read_text() == "x"


@pytest.mark.parametrize(
    ("said", "ran"),
    [
        ("Pulling data for stage: 'train'", False),
        ("Stage 'train' is cached - skipping run, checking out outputs", False),
        ("Pulling data for stage: 'train'\nUnable to pull data for stage\nRunning stage 'train':", True),
    ],
)
def test_what_another_machine_has_computed_is_pulled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, ran: bool
) -> None:
    _stand_in(tmp_path, f"import sys\nassert '--pull' in sys.argv\nprint({said!r})", monkeypatch)
    assert reproduce(tmp_path, "train", pull=True) is ran


def test_a_remote_that_is_away_does_not_stop_a_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys\nif '--pull' in sys.argv:\n    sys.exit('ERROR: Could not connect to the endpoint URL')\n"
    _stand_in(tmp_path, code + "print(\"Running stage 'train':\")", monkeypatch)
    assert reproduce(tmp_path, "train", pull=True)


@pytest.mark.parametrize(
    "said",
    [
        "sys.exit('ERROR: failed to run: python, exited with 1')",
        "print(\"Running stage 'train':\")\nfor _ in range(300): print('a step')\nsys.exit('ERROR: No space left')",
    ],
)
def test_a_stage_that_failed_is_not_run_again_without_the_remote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    _stand_in(tmp_path, f"import sys\nopen('calls', 'a').write('x')\n{said}", monkeypatch)
    with pytest.raises(VersioningError, match="exit code"):
        reproduce(tmp_path, "train", pull=True)
    assert (tmp_path / "calls").read_text() == "x"


def test_children_do_not_write_into_our_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_RUN_ID", "PREFECT__FLOW_RUN_ID"):
        monkeypatch.setenv(name, "ours")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    found = child_environment({"STYLEREEL_FLOW_RUN_ID": "1"})
    assert "MLFLOW_RUN_ID" not in found
    assert "PREFECT__FLOW_RUN_ID" not in found
    assert found["PREFECT_API_URL"] == "http://127.0.0.1:4200/api"
    assert found["STYLEREEL_FLOW_RUN_ID"] == "1"
    assert found["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)


def test_the_digest_of_the_lock(tmp_path: Path) -> None:
    assert lock_digest(tmp_path) is None
    (tmp_path / "dvc.lock").write_bytes(b"")
    assert lock_digest(tmp_path) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture
def passing_limit() -> Iterator[None]:
    """A second, for commands that would take minutes."""
    with time_limit(TimeLimit.start("fetch", "limits.transfer_hours", 2.0 / HOUR_S)):
        yield


@pytest.mark.usefixtures("passing_limit")
def test_a_git_that_hangs_ends_with_the_time_limit(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = tmp_path / "bin" / "git"
    hanging.parent.mkdir()
    hanging.write_text("#!/bin/sh\nexec sleep 300\n")
    hanging.chmod(0o755)
    monkeypatch.setenv("PATH", f"{hanging.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(TimeLimitError, match="fetch: stopped by its time limit"):
        git(repository, "fetch", check=False)


@pytest.mark.usefixtures("passing_limit")
def test_a_git_that_is_stopped_leaves_no_lock_and_no_child(repository: Path) -> None:
    """With the lock of the index left behind, every later commit would fail."""
    _git(repository, "config", "filter.slow.clean", 'sh -c "echo $$ > pid; exec sleep 300"')
    (repository / ".gitattributes").write_text("*.bin filter=slow\n")
    (repository / "a.bin").write_text("x")
    with pytest.raises(TimeLimitError):
        git(repository, "add", "a.bin")
    assert not (repository / ".git/index.lock").exists()
    assert not psutil.pid_exists(int((repository / "pid").read_text()))


@pytest.mark.usefixtures("passing_limit")
def test_the_wait_for_a_lock_ends_with_the_time_limit(
    held_lock: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stand_in(tmp_path, f"import sys\nsys.exit({held_lock!r})", monkeypatch)
    with pytest.raises(TimeLimitError, match="fetch: stopped by its time limit"):
        run_dvc(tmp_path, ["repro"], lock_wait_s=300.0)
