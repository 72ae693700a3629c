"""Watch: looks once at a project and its server, reports what is new, and sends the summary when it is due."""

from __future__ import annotations

import time
from pathlib import Path

from flows.server_state import server_state
from tasks.notify.problems import Problem
from tasks.notify.summary import send_summary_if_due
from tasks.notify.watch import watch


def watch_project(
    root: Path, server: str | None, *, low_disk_gb: float, summary_hour: int, timezone: str
) -> list[Problem]:
    """Looks once, and sends the summary if it is due.

    Args:
        root: the project.
        server: URL of the Prefect server's API; None: only the project is looked at.
        low_disk_gb: free space below which a disk is reported.
        summary_hour: of the day, from which the summary is sent.
        timezone: IANA name.

    Returns:
        All problems, reported now or before.

    Raises:
        UsageError: the time zone is unknown, or the settings of the receivers are wrong.
    """
    now_s = time.time()
    problems = watch(root, server_state(root, server), low_disk_gb=low_disk_gb, now_s=now_s)
    send_summary_if_due(root, hour=summary_hour, timezone=timezone, now_s=now_s)
    return problems
