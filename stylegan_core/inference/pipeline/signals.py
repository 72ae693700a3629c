"""Signals that stop a job between frames."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from stylegan_core.inference.pipeline.stylizer import Stylizer


@contextmanager
def stop_on_signals(stylizer: Stylizer) -> Iterator[None]:
    """SIGTERM and SIGINT stop the job after the frames that are being written; a second SIGINT interrupts at once.

    Does nothing outside of the main thread, which alone receives signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: object) -> None:
        if stylizer.stop_reason is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        stylizer.stop(signal.Signals(number).name)

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
