"""Progress of a task on the page of its run in Prefect: an artifact that a thread updates every few seconds."""

from __future__ import annotations

import contextvars
import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from tasks.shared.origin import FLOW_RUN_VARIABLE, TASK_RUN_VARIABLE
from tasks.shared.runner import ShowProgress

if TYPE_CHECKING:
    from prefect.client.schemas.actions import ArtifactUpdate

log = logging.getLogger(__name__)

_EVERY_S = 5.0
_LAST_S = 10.0
"""How long the end of the work waits for the last update."""
_TIMEOUT_S = 10.0
_NOT_IN_A_KEY = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class _Page:
    """The run, and its task if it has one, whose page shows the artifact."""

    flow_run_id: UUID
    task_run_id: UUID | None


@contextmanager
def progress_artifact(name: str, unit: str) -> Iterator[ShowProgress]:
    """See ``Runner.progress``: on the page of the pipeline that has started this stage, else of the own flow run.

    A server that is slow or away neither delays nor fails the work: a thread sends the newest numbers.
    """
    page = _page()
    if page is None:
        yield lambda _done, _total: None
        return
    sender = _Sender(page, name, unit)
    # In a copy of the context, which has Prefect's settings: without the server's URL it would start one of its own.
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(sender.send_until_ended,), name="progress", daemon=True)
    thread.start()
    try:
        yield sender.show
    finally:
        sender.ended.set()
        thread.join(_LAST_S)


def _page() -> _Page | None:
    from prefect.runtime import flow_run, task_run

    run, task = os.environ.get(FLOW_RUN_VARIABLE), os.environ.get(TASK_RUN_VARIABLE)
    if not run:
        run, task = flow_run.id, task_run.id
    try:
        return _Page(UUID(run), UUID(task) if task else None) if run else None
    except ValueError:
        return None


class _Sender:
    """Sends the newest progress.

    Args:
        page: that shows it.
        name: of the work.
        unit: of its numbers.
    """

    def __init__(self, page: _Page, name: str, unit: str) -> None:
        self.ended = threading.Event()
        self._page, self._name, self._unit = page, name, unit
        self._newest: tuple[int, int] | None = None
        self._artifact: UUID | None = None
        self._warned = False

    def show(self, done: int, total: int) -> None:
        """Notes the progress, from any thread."""
        self._newest = (done, total)

    def send_until_ended(self) -> None:
        """Sends it every few seconds if it has changed, and at the end."""
        sent, last = None, False
        while not last:
            last = self.ended.wait(_EVERY_S)
            newest = self._newest
            if newest is not None and newest != sent:
                sent = newest if self._send(*newest) else sent

    def _send(self, done: int, total: int) -> bool:
        from prefect.client.schemas.actions import ArtifactUpdate

        percent = min(100.0, round(100.0 * done / total, 1)) if total > 0 else 0.0
        state = ArtifactUpdate(data=percent, description=f"{self._name}: {done} of {total} {self._unit}")
        try:
            self._store(state)
        except Exception as error:  # refused, timed out, another version of the server
            log.log(
                logging.DEBUG if self._warned else logging.INFO, "Prefect: no progress on the run's page: %s", error
            )
            self._warned = True
            return False
        return True

    def _store(self, state: ArtifactUpdate) -> None:
        from prefect.client.orchestration import get_client
        from prefect.client.schemas.actions import ArtifactCreate

        with get_client(sync_client=True, httpx_settings={"timeout": _TIMEOUT_S}) as client:
            if self._artifact is not None:
                client.update_artifact(self._artifact, state)
                return
            created = client.create_artifact(
                ArtifactCreate(
                    key=_NOT_IN_A_KEY.sub("-", self._name.lower()).strip("-"),
                    type="progress",
                    data=state.data,
                    description=state.description,
                    flow_run_id=self._page.flow_run_id,
                    task_run_id=self._page.task_run_id,
                )
            )
            self._artifact = created.id
