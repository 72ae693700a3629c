"""One run at a time on an output folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock


class OutputBusyError(RuntimeError):
    """Another run holds the output folder."""


@contextmanager
def hold_output(state_folder: Path, *, wait_s: float = 0.0) -> Iterator[None]:
    """Holds the lock of an output folder; the operating system frees it when its holder dies.

    Args:
        state_folder: ``OUTPUT/.stylereel``, made if it is missing.
        wait_s: how long to wait for another run.

    Raises:
        OutputBusyError: another run holds it.
        OSError: the folder cannot be written.
    """
    state_folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(state_folder / "lock")
    try:
        lock.acquire(timeout=wait_s)
    except filelock.Timeout:
        raise OutputBusyError(str(state_folder.parent)) from None
    try:
        yield
    finally:
        lock.release()
