"""Prefect flow of the deployment NAME-watch; `stylereel notify watch` does the same without Prefect."""

from __future__ import annotations

import os

from flows.pipeline import flow
from flows.stage import configure_logging
from flows.watch import watch_project
from tasks.notify.watch import LOW_DISK_GB
from tasks.shared.versioning import project_root


@flow(name="watch", persist_result=False)
def watch(low_disk_gb: float = LOW_DISK_GB, summary_hour: int = 7, timezone: str = "UTC") -> list[str]:
    """Reports crashed, late and stuck runs and full disks of this clone; returns the headlines of all problems."""
    configure_logging()
    server = os.environ.get("PREFECT_API_URL")  # the worker's
    problems = watch_project(
        project_root(), server, low_disk_gb=low_disk_gb, summary_hour=summary_hour, timezone=timezone
    )
    return [problem.headline() for problem in problems]
