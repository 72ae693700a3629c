"""Redirects the output of libraries to standard error, so that standard output holds only that of the command."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def libraries_on_stderr() -> Iterator[None]:
    """Sends standard output of Python and C to standard error inside the block.

    OpenEXR prints a line per damaged chunk, which would corrupt the JSON or the path that a program reads.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if os.name == "posix":
            ctypes.CDLL(None).fflush(None)  # the buffers of C
        os.dup2(kept, 1)
        os.close(kept)
