"""Garbage collection by dvc: which data of its cache stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tasks.scheduled.runs_branch import commit_results
from tasks.shared.errors import UsageError
from tasks.shared.versioning import collect_garbage


def dvc(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments, "--quiet"], check=True)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@localhost")
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "main"], check=True)
    dvc("init")
    subprocess.run(["git", "commit", "--quiet", "--message", "Start"], check=True)
    return tmp_path


def test_a_promoted_model_of_an_earlier_night_stays(project: Path) -> None:
    for night in ("promoted", "newer"):
        (project / "models").write_text(night)
        dvc("add", "models")
        commit_results(project, "runs/nightly", ["models.dvc", ".gitignore"], night)
    (project / "models").write_text("in the workspace")
    dvc("add", "models")
    kept = {path.read_text() for path in (project / ".dvc/cache").rglob("*") if path.is_file()}
    assert kept == {"promoted", "newer", "in the workspace"}
    (project / "models").write_text("by mistake")
    dvc("add", "models")
    (project / "models").write_text("in the workspace")
    dvc("add", "models")

    def cached() -> set[str]:
        return {path.read_text() for path in (project / ".dvc/cache").rglob("*") if path.is_file()}

    collect_garbage(project, dry=True)
    assert cached() == {*kept, "by mistake"}
    collect_garbage(project, dry=False)
    assert cached() == kept


def test_a_cache_that_other_projects_may_use_is_left_alone(project: Path, tmp_path: Path) -> None:
    dvc("config", "cache.dir", str(tmp_path / "shared"))
    with pytest.raises(UsageError, match="other projects may use"):
        collect_garbage(project, dry=False)
