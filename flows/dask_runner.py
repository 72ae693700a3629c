"""A Dask cluster for the chunks of a job: one that is running elsewhere, or one of local processes for this call."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from flows.dask_workers import LocalWorkers
from tasks.shared.errors import StoppedError, UsageError

Item = TypeVar("Item")
Result = TypeVar("Result")

CONNECT_S = 20.0
MOST_DEATHS = 10
"""Workers that one chunk may cost before it is given up: a picture that crashes its decoder, say."""


@dataclass(frozen=True)
class DaskSettings:
    """Which cluster.

    Attributes:
        address: of a scheduler, such as tcp://10.0.0.5:8786; None makes a cluster of local processes.
        workers: local processes; None: one a GPU, or one a core, at most 8.
    """

    address: str | None = None
    workers: int | None = None


class DaskRunner:
    """The calls of ``flows.runner.Runner``, ``map`` on the workers of a cluster.

    What ``map`` is given is a function of a module that the workers can import, or a ``functools.partial`` of one.

    Args:
        client: of ``distributed``.
    """

    distributed = True

    def __init__(self, client: Any) -> None:
        self._client = client

    def run(self, _name: str, function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Result:
        """Calls ``function`` here."""
        return function(*args, **kwargs)

    def map(self, name: str, function: Callable[[Item], Result], items: Iterable[Item], /) -> list[Result]:
        """Calls ``function`` for each item on the workers; a call whose worker dies is made again on another.

        The first exception is raised after the calls that already run have ended; the others are not started.

        Raises:
            StoppedError: a call cost one worker after another its life.
        """
        from distributed import as_completed

        # Without keys of its own a second map of the same items would be answered from memory.
        futures = self._client.map(function, list(items), pure=False, key=name)
        try:
            for future in as_completed(futures, loop=self._client.loop):
                if future.status == "error":
                    raise _explained(future.exception())
            return [future.result() for future in futures]
        except BaseException as failure:
            self._end(futures, str(failure) or type(failure).__name__)
            raise

    def _end(self, futures: list[Any], reason: str) -> None:
        """No new calls, and an end of those that run, soon."""
        waiting = [future for future in futures if not future.done()]
        try:
            self._client.run(_ask_chunks, "stop_chunks", reason, on_error="ignore")
            self._client.cancel(waiting)
        except (OSError, TimeoutError) as error:
            logging.getLogger(__name__).debug("the cluster does not answer: %s", error)


@contextmanager
def dask_client(settings: DaskSettings) -> Iterator[Any]:
    """A client of the cluster; its local processes end with it.

    Raises:
        UsageError: Dask is not installed, or nobody answers at the address.
    """
    try:
        import distributed
    except ImportError:
        raise UsageError("--runner dask needs Dask: pip install 'stylereel[dask]'") from None
    # A lost connection is told by the worker that is started again.
    for name in ("distributed.comm", "distributed.core", "distributed.batched", "distributed.worker"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with _scheduler(settings) as where:
        try:
            client = distributed.Client(where, timeout=CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise UsageError(f"no Dask scheduler answers at {settings.address}: {error}") from None
        with client:
            try:
                yield client
            finally:
                if settings.address:  # a cluster that goes on should not keep our models
                    client.run(_ask_chunks, "close_jobs", on_error="ignore")


@contextmanager
def _scheduler(settings: DaskSettings) -> Iterator[Any]:
    if settings.address:
        yield settings.address
        return
    import dask
    import distributed

    workers = settings.workers or _default_workers()
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": MOST_DEATHS}),
        distributed.LocalCluster(
            n_workers=0, host="127.0.0.1", dashboard_address=None, silence_logs=logging.CRITICAL
        ) as cluster,
        LocalWorkers(cluster.scheduler_address, workers, _threads_each(workers)),
    ):
        yield cluster


def _ask_chunks(what: str, *arguments: str) -> None:
    """In a worker: calls a function of ``tasks.stylize.chunk`` if that is at work there; importing it takes seconds."""
    module = sys.modules.get("tasks.stylize.chunk")
    if module is not None:
        getattr(module, what)(*arguments)


def _explained(failure: BaseException) -> BaseException:
    from distributed.scheduler import KilledWorker

    if isinstance(failure, KilledWorker):
        return StoppedError(
            f"{failure.task} ended {MOST_DEATHS} workers, one after another: too little memory, or a picture that "
            "crashes its decoder; `stylereel work JOB --chunk N` in a terminal shows which"
        )
    return failure


def _default_workers() -> int:
    import torch

    from flows.runner import default_workers

    return torch.cuda.device_count() if torch.cuda.is_available() else default_workers()


def _threads_each(workers: int) -> int:
    import os

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, usable // workers)
