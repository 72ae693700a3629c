"""Logs of a run on its page in Prefect: those of every thread, with the task that wrote them where it is known."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

LOGGERS = ("flows", "tasks", "stylegan_core")


@contextmanager
def logs_in_prefect() -> Iterator[None]:
    """Sends the log to the page of the flow run that this thread is in, as long as the context lasts."""
    from prefect.logging.handlers import APILogHandler
    from prefect.runtime import flow_run

    handler = APILogHandler()
    handler.addFilter(_OfRun(str(flow_run.id)))
    loggers = [logging.getLogger(name) for name in LOGGERS]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        handler.flush()


class _OfRun(logging.Filter):
    """Adds the ids of the runs to a record: Prefect looks for them in the thread's context, which pools do not have."""

    def __init__(self, flow_run_id: str) -> None:
        super().__init__()
        self._flow_run_id = flow_run_id

    def filter(self, record: logging.LogRecord) -> bool:
        from prefect.runtime import task_run

        record.flow_run_id = self._flow_run_id
        if task_run.id:
            record.task_run_id = str(task_run.id)
        return True
