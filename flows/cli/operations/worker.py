"""The command ``worker``: a Prefect worker of this checkout, which first resumes what a power cut stopped."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flows.cli.project import project_folder
from tasks.shared.errors import UsageError

if TYPE_CHECKING:
    from flows.services.prefect_api import PrefectApi

log = logging.getLogger(__name__)

EXAMPLES = """
stylereel worker
stylereel worker --queue on-demand
stylereel worker --pool renders --limit 2
"""

_POLL_S = 2.0
_LOG_EVERY_S = 60.0


def worker(
    pool: Annotated[
        str, typer.Option(help="Work pool that has the project's queue; created if missing.")
    ] = "stylereel",
    queue: Annotated[
        Literal["all", "trainings", "on-demand"],
        typer.Option(help="Runs that it takes; with all, work on demand waits for the end of a training."),
    ] = "all",
    limit: Annotated[int, typer.Option(min=1, help="Runs at the same time; pipelines wait for each other.")] = 1,
) -> None:
    """Start the project's runs of a Prefect server here; resume those that a power cut or SIGKILL has stopped.

    Runs work in this clone, wherever they were scheduled: workers in several clones of a project share its runs.
    `stylereel up` starts two in the background, one for trainings and one for work on demand.
    """
    root = project_folder()
    from flows.dead_runs import recover
    from flows.services.checkout_step import CHECKOUT_VARIABLE
    from flows.services.deployments import NIGHTLY, STYLIZE, former_deployments, refuse_name_clash
    from flows.services.prefect_api import VARIABLE, PrefectApi, known_api_url
    from flows.services.recovery import start_recovery
    from flows.services.service import worker_name
    from flows.services.work_queue import checkout_suffix, claim_queues, on_demand_queue, trainings_queue
    from tasks.shared.project_identity import read_identity

    url, identity = known_api_url(), read_identity(root)
    if url is None:
        raise UsageError(
            f"there is no Prefect server: start one, and a worker, with `stylereel up`, or set {VARIABLE}, such as "
            f"`export {VARIABLE}=http://127.0.0.1:4200/api`"
        )
    os.environ.update({VARIABLE: url, CHECKOUT_VARIABLE: str(root)})
    api = PrefectApi(url)
    _wait_for(api)
    for deployment in (NIGHTLY, STYLIZE):
        refuse_name_clash(api, identity, deployment)
    here = checkout_suffix(root)
    claim_queues(api, identity, pool, here)
    for former in former_deployments(api, root):
        log.warning(
            "the deployment %s is of an earlier version, and its runs do not start any more: run `stylereel schedule "
            '"0 2 * * *"`, which replaces it',
            former["name"],
        )
    own = {"trainings": trainings_queue(identity), "on-demand": on_demand_queue(identity)}
    served = [name for key, name in own.items() if queue in (key, "all")]
    others = [name for name in own.values() if name not in served]
    queues = [name for each in served for name in (each, f"{each}{here}")]
    for run_id in recover(root, others, here):
        typer.echo(f"started again: flow run {run_id}")
    start_recovery(root, queues, others, here)
    os.chdir(root)
    name = worker_name(root, "on-demand-worker" if queue == "on-demand" else "worker")
    words = [word for name_of_queue in queues for word in ("--work-queue", name_of_queue)]
    prefect = [sys.executable, "-m", "prefect", "worker", "start", "--type", "process", "--name", name]
    _become([*prefect, "--pool", pool, *words, "--limit", str(limit)])


def _become(command: list[str]) -> None:
    # A script's shell starts a job in the background with SIGINT ignored, as all that it starts: `stylereel up &`, too.
    # Prefect's worker sends itself SIGINT on SIGTERM, so it would go on until SIGKILL.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execv(command[0], command)


def _wait_for(api: PrefectApi) -> None:
    """At boot the worker may be up before the server."""
    logged_s = -_LOG_EVERY_S
    while not api.is_up():
        if time.monotonic() - logged_s >= _LOG_EVERY_S:
            logged_s = time.monotonic()
            log.info("waiting for the Prefect server at %s", api.url)
        time.sleep(_POLL_S)
