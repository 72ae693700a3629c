"""Signals that end a job between frames."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from stylegan_core.inference.pipeline.stylizer import Stylizer


@contextmanager
def stop_on_signals(stylizer: Stylizer) -> Iterator[None]:
    """SIGTERM and SIGINT end the work after the frames that are being written; a second SIGINT ends it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def caught(number: int, _frame: object) -> None:
        if stylizer.stop_reason is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        stylizer.stop(signal.Signals(number).name)

    before = {number: signal.signal(number, caught) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
