"""Runs a stage's tasks: as plain functions, or as Prefect tasks of a flow run where a server is configured."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from tasks.shared.origin import FLOW_RUN_VARIABLE

if TYPE_CHECKING:
    from flows.dask_runner import DaskSettings

Item = TypeVar("Item")
Result = TypeVar("Result")


class Runner(Protocol):
    """How a flow calls its tasks. Nothing is cached or persisted here: DVC and the records own that.

    Attributes:
        distributed: whether ``map`` calls in other processes, of a function that these can import.
    """

    distributed: bool

    def run(self, name: str, function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Result:
        """Calls ``function`` as the task ``name``, in this thread."""
        ...

    def map(self, name: str, function: Callable[[Item], Result], items: Iterable[Item], /) -> list[Result]:
        """Calls ``function`` for each item, on a pool of threads or of processes; results in the order of ``items``.

        The first exception is raised after the calls that already run have ended; the others are not started.
        """
        ...


class LocalRunner:
    """Plain functions on a thread pool; Prefect is not imported.

    Args:
        workers: threads of ``map``; default: one a core, at most 8.
    """

    distributed = False

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or default_workers()

    def run(self, _name: str, function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Result:
        """See ``Runner.run``."""
        return function(*args, **kwargs)

    def map(self, name: str, function: Callable[[Item], Result], items: Iterable[Item], /) -> list[Result]:
        """See ``Runner.map``."""
        failures: list[BaseException] = []

        def call(item: Item) -> Result | None:
            if failures:  # asked by the call itself: a pool's own cancelling comes too late for short calls
                return None
            try:
                return function(item)
            except BaseException as failure:
                failures.append(failure)
                raise

        with ThreadPoolExecutor(self.workers, thread_name_prefix=name) as pool:
            futures = [pool.submit(call, item) for item in items]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            except BaseException:  # an interrupt: what has not begun does not begin
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if failures:
            raise failures[0]
        return [cast(Result, future.result()) for future in futures]


class PrefectRunner:
    """The same calls as Prefect tasks; only inside a flow, see ``run_stage``.

    Args:
        retries: by task name, for work that may be repeated.
        distributed: whether the flow's task runner has its workers in other processes.
    """

    def __init__(self, retries: Mapping[str, int] | None = None, *, distributed: bool = False) -> None:
        self._retries = dict(retries or {})
        self.distributed = distributed

    def run(self, name: str, function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Result:
        """See ``Runner.run``."""
        # A closure without parameters: Prefect walks through every argument of a task, also through arrays.
        return self._task(name, lambda: function(*args, **kwargs))()

    def map(self, name: str, function: Callable[[Item], Result], items: Iterable[Item], /) -> list[Result]:
        """See ``Runner.map``."""
        listed = list(items)
        if not listed:
            return []

        def call(index: int) -> Result:
            return function(listed[index])

        futures = self._task(name, call).map(index=list(range(len(listed))))
        return [future.result() for future in futures]

    def _task(self, name: str, function: Callable[..., Any]) -> Any:
        from prefect import task
        from prefect.cache_policies import NO_CACHE

        decorate = task(
            name=name,
            persist_result=False,
            cache_policy=NO_CACHE,
            retries=self._retries.get(name, 0),
            retry_delay_seconds=10,
        )
        return decorate(function)


def run_stage(name: str, body: Callable[[Runner], Result], *, dask: DaskSettings | None = None) -> Result:
    """Runs a stage: as a Prefect flow run called ``name`` where ``PREFECT_API_URL`` is set, else plainly.

    Args:
        name: of the stage, which is also the flow's.
        body: calls its tasks through the runner that it is given.
        dask: a cluster for what ``map`` calls; None: threads of this process.

    Raises:
        UsageError: there is no such cluster.
    """
    if dask is None:
        return _run_stage(name, body, None)
    from flows.dask_runner import dask_client

    with dask_client(dask) as client:
        return _run_stage(name, body, client)


def _run_stage(name: str, body: Callable[[Runner], Result], dask_client: Any) -> Result:
    if not os.environ.get("PREFECT_API_URL"):
        # Even ``flow.fn()`` would start a temporary server, 16 s, as soon as it met a task.
        if dask_client is None:
            return body(LocalRunner())
        from flows.dask_runner import DaskRunner

        return body(DaskRunner(dask_client))
    from prefect import flow, tags

    here = _Here(lambda: body(PrefectRunner(distributed=dask_client is not None)))

    def stage() -> Result:
        return cast(Result, here())

    stage.__name__ = stage.__qualname__ = name
    parent = os.environ.get(FLOW_RUN_VARIABLE)
    with tags(*(["stylereel", f"pipeline:{parent}"] if parent else ["stylereel"])):
        return flow(
            name=name,
            persist_result=False,
            validate_parameters=False,
            task_runner=_task_runner(dask_client),
        )(stage)()


class _Here:
    """A call that stays in this process. Prefect sends the flow along with each task that runs elsewhere."""

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
    from prefect_dask import DaskTaskRunner

    return DaskTaskRunner(address=dask_client.scheduler.address)


def default_workers() -> int:
    """Threads of ``map``: one a core that this process may use, at most 8."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, usable)
