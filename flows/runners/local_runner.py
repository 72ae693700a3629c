"""Tasks as plain functions on a thread pool of this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar, cast

from stylegan_core.threads import usable_cores
from tasks.shared.runner import ShowProgress

Item = TypeVar("Item")
Result = TypeVar("Result")


class LocalRunner:
    """Plain functions on a thread pool; Prefect is not imported. See ``tasks.shared.runner.Runner``.

    Args:
        workers: threads of ``map``; default: one per core, at most 8.
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
            if failures:  # the call itself checks: a pool cancels too late for short calls
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
            except BaseException:  # an interrupt: calls that have not started are cancelled
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if failures:
            raise failures[0]
        return [cast(Result, future.result()) for future in futures]

    def progress(self, _name: str, _unit: str) -> AbstractContextManager[ShowProgress]:
        """Shows it nowhere: see ``Runner.progress``."""
        return nullcontext(lambda _done, _total: None)

    def publish(self, name: str, markdown: str) -> None:
        """Does nothing: see ``Runner.publish``."""


def default_workers() -> int:
    """Threads of ``map``: one per core that this process may use, at most 8."""
    return min(8, usable_cores())
