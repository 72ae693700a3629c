"""The command ``worker``: a Prefect worker of this checkout, which first resumes what a power cut stopped."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from flows.cli.project import project_folder
from tasks.shared.errors import UsageError


def worker(
    pool: Annotated[str, typer.Option(help="Work pool whose runs it starts.")] = "stylereel",
    limit: Annotated[int, typer.Option(min=1, help="Runs at the same time; pipelines wait for each other.")] = 1,
) -> None:
    """Start the runs of a Prefect server in this clone; resume those that a power cut or SIGKILL has stopped."""
    root = project_folder()
    if not os.environ.get("PREFECT_API_URL"):
        raise UsageError(
            "PREFECT_API_URL is not set: start a server with `prefect server start`, then "
            "`export PREFECT_API_URL=http://127.0.0.1:4200/api`"
        )
    from flows.dead_runs import recover

    for run_id in recover(root):
        typer.echo(f"started again: flow run {run_id}")
    os.chdir(root)
    prefect = [sys.executable, "-m", "prefect"]
    os.execv(sys.executable, [*prefect, "worker", "start", "--pool", pool, "--limit", str(limit)])
