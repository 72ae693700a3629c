"""SIGTERM and SIGINT as a stop request that the training loop checks between two steps."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

log = logging.getLogger(__name__)


class TrainingInterrupted(Exception):  # noqa: N818  (not an error)
    """Training was stopped by a signal and saved a checkpoint; the same command continues it (exit code 3)."""


class StopRequest:
    """A context in which the first SIGTERM or SIGINT sets ``reason``; a second SIGINT interrupts at once.

    Outside the main thread signals cannot be caught; only ``request`` sets it there.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def request(self, reason: str) -> None:
        """Requests the stop."""
        self.reason = self.reason or reason

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._previous[number] = signal.signal(number, self._caught)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._previous.clear()

    def _caught(self, number: int, _frame: FrameType | None) -> None:
        if self.reason is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.request(signal.Signals(number).name)
