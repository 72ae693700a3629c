"""A new run waits for the stage of a dead one, by DVC's note of its processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.scheduled.live_stage import wait_for_stage
from tasks.shared.versioning import VersioningError


def _note(root: Path, pid: int) -> None:
    (root / ".dvc" / "tmp").mkdir(parents=True, exist_ok=True)
    user = {"pid": pid, "cmd": "dvc repro --single-item train"}
    noted = {str(root / "models"): {"write": user}, str(root / "data"): {"read": [user]}}
    (root / ".dvc" / "tmp" / "rwlock").write_text(json.dumps(noted))


def test_a_dead_process_is_not_waited_for(tmp_path: Path) -> None:
    wait_for_stage(tmp_path, 0.0)
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    _note(tmp_path, child.pid)
    wait_for_stage(tmp_path, 0.0)
    (tmp_path / ".dvc" / "tmp" / "rwlock").write_text("{ torn")
    wait_for_stage(tmp_path, 0.0)


def test_a_live_one_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _note(tmp_path, os.getpid())
    with caplog.at_level("INFO"), pytest.raises(VersioningError, match=f"process {os.getpid()}"):
        wait_for_stage(tmp_path, 0.0)
    assert "waiting for it, for at most 0 s" in caplog.text
