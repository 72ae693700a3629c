"""Runs a stage's tasks: as plain functions, or as Prefect tasks of a flow run where a server is configured."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from flows.runners.local_runner import LocalRunner, default_workers
from flows.runners.prefect_logs import logs_in_prefect
from flows.runners.prefect_runner import PrefectRunner
from tasks.shared.origin import FLOW_RUN_VARIABLE, TASK_RUN_VARIABLE
from tasks.shared.project_identity import read_identity
from tasks.shared.runner import Runner
from tasks.shared.versioning import project_root

if TYPE_CHECKING:
    from flows.runners.dask_runner import DaskSettings

log = logging.getLogger(__name__)

Result = TypeVar("Result")


def run_stage(name: str, body: Callable[[Runner], Result], *, dask: DaskSettings | None = None) -> Result:
    """Runs a stage: as a Prefect flow run called ``name`` if ``PREFECT_API_URL`` is set, else as plain functions.

    Args:
        name: of the stage, which is also the flow's.
        body: calls its tasks through the runner that it is given.
        dask: the cluster on which ``map`` calls its functions; None: threads of this process.

    Raises:
        UsageError: the cluster cannot be reached.
    """
    if dask is None:
        return _run_stage(name, body, None)
    from flows.runners.dask_runner import dask_client

    with dask_client(dask) as client:
        return _run_stage(name, body, client)


def _run_stage(name: str, body: Callable[[Runner], Result], dask_client: Any) -> Result:
    if not os.environ.get("PREFECT_API_URL"):
        # Even ``flow.fn()`` would start a temporary server, 16 s, as soon as it met a task.
        if dask_client is None:
            return body(LocalRunner())
        from flows.runners.dask_runner import DaskRunner

        return body(DaskRunner(dask_client))
    from prefect import flow, tags
    from prefect.flow_engine import run_flow

    call = _UnpickledCall(lambda: body(PrefectRunner(distributed=dask_client is not None)))

    def stage() -> Result:
        with logs_in_prefect():
            return cast(Result, call())

    stage.__name__ = stage.__qualname__ = name
    parent = os.environ.get(FLOW_RUN_VARIABLE)
    marks = [*read_identity(project_root()).tags, *([f"pipeline:{parent}"] if parent else [])]
    run = flow(
        name=name,
        persist_result=False,
        validate_parameters=False,
        task_runner=_task_runner(dask_client),
    )(stage)
    with tags(*marks):
        return cast(Result, run_flow(run, flow_run=_run_below_task(run, marks)))


def _run_below_task(stage: Any, marks: list[str]) -> Any:
    """A flow run that the pipeline's page shows below the task that started the stage; None without a pipeline."""
    task = os.environ.get(TASK_RUN_VARIABLE)
    if not task:
        return None
    from prefect.client.orchestration import get_client
    from prefect.states import Pending

    try:
        with get_client(sync_client=True) as client:
            return client.create_flow_run(
                stage, name=stage.name, state=Pending(), parent_task_run_id=UUID(task), tags=marks
            )
    except Exception as error:  # the stage is worth more than its place on the page
        log.warning("Prefect: the run of %s is not shown below the pipeline's: %s", stage.name, error)
        return None


class _UnpickledCall:
    """A call that is pickled as an empty string: Prefect sends the flow along with each task of another process."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call

    def __call__(self) -> object:
        return self._call()

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, ("",)


def _task_runner(dask_client: Any) -> Any:
    if dask_client is None:
        from prefect.task_runners import ThreadPoolTaskRunner

        return ThreadPoolTaskRunner(max_workers=default_workers())
    from prefect_dask.task_runners import DaskTaskRunner

    return DaskTaskRunner(address=dask_client.scheduler.address)
