"""A stage whose flow was killed goes on, and reads the files of its checkout: nobody may replace them meanwhile."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import psutil

from tasks.shared.child_processes.time_limit import check_time
from tasks.shared.versioning import VersioningError

log = logging.getLogger(__name__)

_POLL_S = 1.0


def wait_for_stage(root: Path, wait_s: float) -> None:
    """Waits until no stage runs in ``root``: one whose flow was killed goes on, and reads the files of the checkout.

    Raises:
        VersioningError: it ran for longer than ``wait_s``.
        TimeLimitError: the time limit of the context has passed.
    """
    deadline, told = time.monotonic() + wait_s, False
    while pids := [pid for pid in _stage_pids(root) if psutil.pid_exists(pid)]:
        if not told:
            told = True
            log.info("a stage still runs in %s (process %d): waiting for it, for at most %.0f s", root, pids[0], wait_s)
        if time.monotonic() > deadline:
            raise VersioningError(f"a stage has been running in {root} for {wait_s:.0f} s (process {pids[0]})")
        check_time()
        time.sleep(_POLL_S)


def _stage_pids(root: Path) -> set[int]:
    """Processes of dvc that read or write outputs, by DVC's own note of them."""
    try:
        noted = json.loads((root / ".dvc" / "tmp" / "rwlock").read_text(encoding="utf-8"))
        users = [user for path in noted.values() for user in (path.get("write"), *path.get("read", ())) if user]
        return {int(user["pid"]) for user in users}
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return set()
