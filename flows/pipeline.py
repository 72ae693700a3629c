"""Prefect flows of the deployments in prefect.yaml: the whole pipeline, one folder on demand, a hot folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import prefect
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.chain import ChainSettings, chain
from flows.dead_runs import alive, mark_timed_out
from flows.notifications import Ending, reported
from flows.runners.limited_runner import read_limits, start_limit
from flows.runners.prefect_logs import logs_in_prefect
from flows.runners.prefect_runner import PrefectRunner
from flows.runners.worker_pipe import outlive_worker
from flows.stage import configure_logging
from flows.time_out import time_out
from stylegan_core.threads import use_threads
from tasks.shared.errors import TimeLimitError, UsageError
from tasks.shared.versioning import project_root

_Function = TypeVar("_Function", bound=Callable[..., Any])


def flow(*, name: str, persist_result: bool) -> Callable[[_Function], _Function]:
    """Prefect's decorator, typed; Prefect reads the name of a deployment's flow from a decorator called ``flow``."""
    decorate: Callable[[_Function], _Function] = prefect.flow(
        name=name,
        persist_result=persist_result,
        log_prints=True,  # what dvc and the stages print
    )
    return decorate


@flow(name="pipeline", persist_result=False)
def pipeline(
    scheduled: bool = False,
    max_swd_ratio: float | None = None,
    push: bool = True,
    branch: str = "runs/nightly",
    ref: str = "",
    lock_wait_s: float = 3600.0,
) -> dict[str, object] | State[dict[str, object]]:
    """Brings every stage up to date, promotes, links and pushes; the parameters are ``flows.chain.ChainSettings``.

    A run whose models were refused before ends as completed, with a message.
    """
    configure_logging()
    settings = ChainSettings(scheduled, max_swd_ratio, push, branch, ref, lock_wait_s)
    with _deployed("pipeline", "run_hours", interrupt=False) as ending:
        # What needs a network is tried again, since it may be repeated: fetch and push copy what is missing, publish
        # finds the commit that it has made. A stage that failed fails again on the same inputs.
        runner = PrefectRunner(retries={"fetch": 2, "push": 2, "publish": 2})
        link = chain(runner, project_root(), settings)
        if link.refused:
            ending.refuse(link.gate)
    if link.refused:
        return Completed(message=f"nothing promoted, stylize skipped: {link.gate}", data=link.as_dict())
    return link.as_dict()


@flow(name="stylize-on-demand", persist_result=False)
def stylize_on_demand(input: str, output: str, model: str = "") -> dict[str, object]:
    """Stylizes the folder ``input`` into ``output`` with ``model``: a folder or models:/ URI; default: the promoted."""
    from flows.stylize import stylize_command
    from tasks.promotion.default_model import default_model

    configure_logging()
    use_threads()
    with _deployed("stylize-on-demand", "on_demand_hours", interrupt=True):
        chosen = model or default_model(project_root())
        return stylize_command(PrefectRunner(), Path(input), Path(output), model=chosen)


@flow(name="stylize-inbox", persist_result=False)
def stylize_inbox(folder: str, output: str = "", settle_s: float = 60.0) -> dict[str, object]:
    """Looks once at the hot folder ``folder``; results go to ``output`` (default: the folder done next to it).

    Raises:
        InputsFailedError: shots failed in this look; all others are done.
    """
    from flows.inbox import look_once, open_inbox

    configure_logging()
    if not folder:
        raise UsageError("the parameter folder is empty: set it to the inbox, such as /mnt/film/inbox")
    with _deployed("stylize-inbox", "on_demand_hours", interrupt=True) as ending:
        target = Path(output) if output else None
        inbox = open_inbox(Path(folder), target, settle_s=settle_s, run=lambda _, body: body(PrefectRunner()))
        look = look_once(inbox)
        ending.works = bool(look.finished)  # an empty look does not repair the shot that failed
        return {"finished": look.finished, "waiting": look.waiting, "output": str(inbox.output)}


@contextmanager
def _deployed(work: str, setting: str, *, interrupt: bool) -> Iterator[Ending]:
    """What every run of a deployment has: the lock of ``dead_runs``, its log, its report and its time limit."""
    outlive_worker()
    root, run_id = project_root(), str(flow_run.id)
    limit = start_limit(read_limits(root), work, setting)
    with alive(root, run_id), logs_in_prefect(), reported(root, work) as ending:

        def killed(error: TimeLimitError) -> None:
            mark_timed_out(run_id, str(error), stages_only=False)
            ending.fail(error)

        try:
            with time_out(limit, interrupt=interrupt, killed=killed):
                yield ending
        except TimeLimitError as error:
            mark_timed_out(run_id, str(error), stages_only=True)
            raise
