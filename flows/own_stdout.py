"""Keeps standard output for what a command says: libraries of C++ that print there are sent to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def own_stdout() -> Iterator[None]:
    """Within it, Python writes to the real standard output and everything else of this process to standard error.

    OpenEXR prints a line for each damaged chunk, amid the JSON that a program reads or the path that a shell takes.
    """
    try:
        real = sys.stdout.fileno() == 1
    except (OSError, ValueError):  # replaced by something in memory
        real = False
    if not real:
        yield
        return
    before = sys.stdout
    before.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(kept, "w", encoding=before.encoding, errors=before.errors, closefd=False)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout = before
        os.dup2(kept, 1)
        os.close(kept)
