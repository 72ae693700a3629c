"""The contract of runners: how flows and tasks call functions, in this process or in others.

``flows.runners`` has the implementations: threads, Prefect tasks, a Dask cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


ShowProgress = Callable[[int, int], None]
"""Takes the numbers done and in total."""


class Skipped(str):
    """What a task returns that had nothing to do: the reason, which the run's page shows."""

    __slots__ = ()


class Runner(Protocol):
    """Calls functions as named tasks. It caches and persists nothing: DVC and the records do that.

    Attributes:
        distributed: whether ``map`` calls functions in other processes, which must be able to import them.
    """

    distributed: bool

    def run(self, name: str, function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Result:
        """Calls ``function`` as the task ``name``, in this thread."""
        ...

    def map(self, name: str, function: Callable[[Item], Result], items: Iterable[Item], /) -> list[Result]:
        """Calls ``function`` for each item, on a pool of threads or of processes; results in the order of ``items``.

        The first exception is raised after the running calls have ended; no further calls are started.
        """
        ...

    def progress(self, name: str, unit: str) -> AbstractContextManager[ShowProgress]:
        """Shows the progress of the work inside on the page of the flow run; without a server, nowhere.

        Args:
            name: of the work, such as "train harbour".
            unit: of its numbers, such as "steps".

        Returns:
            A context of a function of the numbers done and in total, which returns at once and never raises.
        """
        ...

    def publish(self, name: str, markdown: str) -> None:
        """Shows a text on the page of the flow run under ``name`` (a-z, 0-9 and -); without a server, nowhere."""
        ...
