"""The process beside a worker looks for dead runs again and again, and ends with its worker."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from flows.services import recovery


class _EnoughError(BaseException):
    """Ends the endless loop; no ``Exception``, which the loop survives."""


def test_it_goes_on_after_a_look_that_failed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    looks: list[tuple[Collection[str], str]] = []

    def recover(root: Path, other_queues: Collection[str], here: str) -> list[str]:
        assert root == tmp_path
        looks.append((other_queues, here))
        if len(looks) == 1:
            raise ConnectionError("refused")
        if len(looks) == 4:
            raise _EnoughError
        return ["run"]

    def recover_pending(root: Path, queues: Collection[str], seen_s: dict[UUID, float], here: str) -> list[str]:
        seen_s[uuid4()] = 0.0
        assert (root, len(seen_s)) == (tmp_path, 1)
        looks.append((queues, here))
        return []

    monkeypatch.setattr(recovery, "recover", recover)
    monkeypatch.setattr(recovery, "recover_pending", recover_pending)
    with pytest.raises(_EnoughError):
        recovery.look_again_and_again(tmp_path, ["film"], ["film-on-demand"], ".here", every_s=0.0)
    dead, pending = (["film-on-demand"], ".here"), (["film"], ".here")
    assert looks == [dead, dead, pending, dead]


def test_it_ends_with_its_worker(tmp_path: Path) -> None:
    code = "import sys, pathlib\nfrom flows.services.recovery import start_recovery\n"
    code += "print(start_recovery(pathlib.Path(sys.argv[1]), [], [], ''), flush=True)\nsys.stdin.read()\n"
    worker = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    started = int(worker.stdout.readline())
    assert _works(started)
    worker.kill()
    worker.wait()
    worker.stdout.close()
    deadline_s = time.monotonic() + 120.0
    while _works(started) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    assert not _works(started)


def _works(process: int) -> bool:
    """Whether the process is there; one that has ended and that nobody has waited for is not."""
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
