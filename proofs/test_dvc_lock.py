"""A second dvc in the same checkout: the pipeline waits for its lock instead of failing."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tasks.shared.versioning import VersioningError, child_environment, run_dvc

DVC_YAML = "stages:\n  train:\n    cmd: python slow.py\n    outs: [model]\n"
SLOW = """\
import pathlib, time
pathlib.Path("begun").touch()
deadline = time.monotonic() + 300
while not pathlib.Path("go").exists() and time.monotonic() < deadline:
    time.sleep(0.1)
pathlib.Path("model").touch()
"""


def _wait(path: Path, within_s: float = 120) -> None:
    deadline = time.monotonic() + within_s
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path.name} within {within_s} s"
        time.sleep(0.1)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    root = tmp_path / "project"
    root.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=root, check=True)
    (root / "dvc.yaml").write_text(DVC_YAML)
    (root / "slow.py").write_text(SLOW)
    return root


def test_a_stage_that_someone_else_runs_is_waited_for(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    by_hand = subprocess.Popen([sys.executable, "-m", "dvc", "repro"], cwd=root, env=child_environment())
    try:
        _wait(root / "begun")
        with pytest.raises(VersioningError, match="project's lock"):
            run_dvc(root, ["repro", "--single-item", "train"], lock_wait_s=0.0)
        waiting = threading.Thread(target=run_dvc, args=(root, ["repro", "--single-item", "train"]))
        waiting.start()
        time.sleep(5)
        assert waiting.is_alive(), "it did not wait for the lock"
        (root / "go").touch()
        assert by_hand.wait(timeout=120) == 0
        waiting.join(timeout=120)
        assert not waiting.is_alive()
    finally:
        (root / "go").touch()
        by_hand.wait(timeout=120)
    assert "didn't change" in capfd.readouterr().out, "what was waited for is not done twice"


def test_the_lock_of_the_whole_project_is_waited_for(root: Path) -> None:
    from zc.lockfile import LockFile  # what dvc itself locks with

    (root / "go").touch()
    held = LockFile(str(root / ".dvc" / "tmp" / "lock"))
    try:
        with pytest.raises(VersioningError, match="project's lock"):
            run_dvc(root, ["repro"], lock_wait_s=0.0)
        threading.Timer(4.0, held.close).start()
        run_dvc(root, ["repro"])
    finally:
        held.close()
    assert (root / "model").exists()
