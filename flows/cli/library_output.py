"""Sends what libraries print to standard error, so that standard output holds what a command says."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def libraries_on_stderr() -> Iterator[None]:
    """Within it, nothing of this process reaches standard output, neither Python's nor C's.

    OpenEXR prints a line for each damaged chunk, amid the JSON that a program reads or the path that a shell takes.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if os.name == "posix":
            ctypes.CDLL(None).fflush(None)  # what C has printed, and not yet written
        os.dup2(kept, 1)
        os.close(kept)
