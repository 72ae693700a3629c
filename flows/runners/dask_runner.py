"""Tasks on a Dask cluster: one that is running elsewhere, or one of local processes for this call."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

from flows.runners.dask_workers import LocalWorkers
from flows.runners.local_runner import default_workers
from tasks.shared.errors import StoppedError, UsageError
from tasks.shared.runner import ShowProgress

Item = TypeVar("Item")
Result = TypeVar("Result")

CONNECT_S = 20.0
MOST_DEATHS = 10
"""Workers that may die on one chunk before the run stops, because of a picture that crashes its decoder for example."""


@dataclass(frozen=True)
class DaskSettings:
    """The cluster to use.

    Attributes:
        address: of a scheduler, such as tcp://10.0.0.5:8786; None starts a cluster of local processes.
        workers: local processes; None: one per GPU, or one per core, at most 8.
    """

    address: str | None = None
    workers: int | None = None


class DaskRunner:
    """Calls ``map``'s functions on the workers of a cluster. See ``tasks.shared.runner.Runner``.

    ``map`` accepts a function of a module that the workers can import, or a ``functools.partial`` of one.

    Args:
        client: of ``distributed``.
    """

    distributed = True

    def __init__(self, client: Any) -> None:
        self._client = client

    def run(self, _name: str, function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Result:
        """Calls ``function`` in this process."""
        return function(*args, **kwargs)

    def map(self, name: str, function: Callable[[Item], Result], items: Iterable[Item], /) -> list[Result]:
        """Calls ``function`` for each item on the workers; if a worker dies, another repeats its call.

        The first exception is raised after the running calls have ended; no further calls are started.

        Raises:
            StoppedError: several workers died on the same call.
        """
        from distributed import as_completed

        # Without ``key`` and ``pure=False``, Dask would answer a second map of the same items from memory.
        futures = self._client.map(function, list(items), pure=False, key=name)
        try:
            for future in as_completed(futures, loop=self._client.loop):
                if future.status == "error":
                    raise _explained(future.exception())
            return [future.result() for future in futures]
        except BaseException as failure:
            self._end(futures, str(failure) or type(failure).__name__)
            raise

    def progress(self, _name: str, _unit: str) -> AbstractContextManager[ShowProgress]:
        """Shows it nowhere: see ``Runner.progress``."""
        return nullcontext(lambda _done, _total: None)

    def publish(self, name: str, markdown: str) -> None:
        """Does nothing: see ``Runner.publish``."""

    def _end(self, futures: list[Any], reason: str) -> None:
        """Cancels the waiting calls and requests the running ones to stop."""
        waiting = [future for future in futures if not future.done()]
        try:
            self._client.run(_call_on_worker, "stop_chunks", reason, on_error="ignore")
            self._client.cancel(waiting)
        except (OSError, TimeoutError) as error:
            logging.getLogger(__name__).debug("the cluster does not respond: %s", error)


@contextmanager
def dask_client(settings: DaskSettings) -> Iterator[Any]:
    """A client of the cluster; local worker processes end with it.

    Raises:
        UsageError: Dask is not installed, or no scheduler answers at the address.
    """
    try:
        import distributed
    except ImportError:
        raise UsageError("--runner dask needs Dask: pip install 'stylereel[dask]'") from None
    # LocalWorkers logs a lost worker when it starts it again.
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
                if settings.address:  # a cluster that keeps running should release our models
                    client.run(_call_on_worker, "close_jobs", on_error="ignore")


@contextmanager
def _scheduler(settings: DaskSettings) -> Iterator[Any]:
    if settings.address:
        yield settings.address
        return
    import dask
    import distributed
    import torch

    workers = settings.workers or _default_workers()
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": MOST_DEATHS}),
        distributed.LocalCluster(
            n_workers=0, host="127.0.0.1", dashboard_address=None, silence_logs=logging.CRITICAL
        ) as cluster,
        LocalWorkers(cluster.scheduler_address, workers, max(1, torch.get_num_threads() // workers)),
    ):
        yield cluster


def _call_on_worker(what: str, *arguments: str) -> None:
    """Calls a function of ``tasks.stylize.chunk`` in a worker that has imported it; importing it takes seconds."""
    module = sys.modules.get("tasks.stylize.chunk")
    if module is not None:
        getattr(module, what)(*arguments)


def _explained(failure: BaseException) -> BaseException:
    from distributed.scheduler import KilledWorker

    if isinstance(failure, KilledWorker):
        return StoppedError(
            f"{failure.task} killed {MOST_DEATHS} workers in a row: out of memory, or a picture crashes its decoder; "
            "run `stylereel work JOB --chunk N` in a terminal to find out which"
        )
    return failure


def _default_workers() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else default_workers()
