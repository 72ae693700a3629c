"""Tasks as Prefect tasks of the current flow run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

from flows.runners.progress_artifact import progress_artifact
from tasks.shared.errors import StoppedError, UsageError
from tasks.shared.runner import ShowProgress, Skipped

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")


class PrefectRunner:
    """Prefect tasks, without caching; works only inside a flow. See ``tasks.shared.runner.Runner``.

    Args:
        retries: by task name, for work that may be repeated: it does nothing a second time that it has done.
        distributed: whether the flow's task runner has its workers in other processes.
    """

    def __init__(self, retries: Mapping[str, int] | None = None, *, distributed: bool = False) -> None:
        self._retries = dict(retries or {})
        self.distributed = distributed

    def run(self, name: str, function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Result:
        """See ``Runner.run``."""
        made: list[Result] = []

        # A closure without parameters: Prefect walks through every argument of a task, also through arrays.
        def call() -> object:
            made[:] = [function(*args, **kwargs)]
            return _state_of(made[0])

        self._task(name, call)()
        return made[0]

    def map(self, name: str, function: Callable[[Item], Result], items: Iterable[Item], /) -> list[Result]:
        """See ``Runner.map``."""
        listed = list(items)
        if not listed:
            return []

        def call(index: int) -> Result:
            return function(listed[index])

        futures = self._task(name, call).map(index=list(range(len(listed))))
        return [future.result() for future in futures]

    def progress(self, name: str, unit: str) -> AbstractContextManager[ShowProgress]:
        """See ``Runner.progress``."""
        return progress_artifact(name, unit)

    def publish(self, name: str, markdown: str) -> None:
        """See ``Runner.publish``; a server that refuses it costs a line of the log, not the run."""
        from prefect.artifacts import create_markdown_artifact

        try:
            create_markdown_artifact(markdown, key=name)
        except Exception as error:
            log.warning("Prefect: cannot show %s on the run's page: %s", name, error)

    def _task(self, name: str, function: Callable[..., Any]) -> Any:
        from prefect import task
        from prefect.cache_policies import NO_CACHE

        decorate = task(
            name=name,
            persist_result=False,
            cache_policy=NO_CACHE,
            retries=self._retries.get(name, 0),
            retry_condition_fn=_may_be_repeated,
            retry_delay_seconds=10,
        )
        return decorate(function)


def _may_be_repeated(_task: object, _run: object, state: State) -> bool:
    """Not after a wrong call, which stays wrong, and not after a stop or a time limit, which are on purpose."""
    return not isinstance(state.data, UsageError | StoppedError)


def _state_of(result: object) -> object:
    """For Prefect: the state of a task that had nothing to do says so; else the result itself."""
    if not isinstance(result, Skipped):
        return result
    from prefect.states import Completed

    return Completed(name="Skipped", message=str(result))
