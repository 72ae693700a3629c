"""Standard output into a program that ends early, such as ``head``: the command ends quietly, as Unix tools do."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

EXIT_CODE = 141
"""128 and the number of SIGPIPE: what a shell reports of a tool that this signal has ended.

SIGPIPE itself stays ignored: a server or an encoder that goes away must not end a job.
"""


class _NotingOutput(io.FileIO):
    """Standard output that remembers whether a write has failed because its reader is gone."""

    broken = False

    def write(self, data: Buffer, /) -> int:
        """See ``io.FileIO.write``."""
        try:
            return super().write(data)
        except BrokenPipeError:
            self.broken = True
            raise


@contextmanager
def quiet_at_closed_output() -> Iterator[None]:
    """Ends the process with ``EXIT_CODE`` and without a message if the reader of its output has gone."""
    try:
        noting = _NotingOutput(sys.stdout.fileno(), "wb", closefd=False)
    except (AttributeError, OSError, ValueError):  # no standard output, or one in memory
        yield
        return
    before = sys.stdout
    unbuffered = bool(getattr(before, "write_through", False))  # python -u, PYTHONUNBUFFERED
    sys.stdout = output = io.TextIOWrapper(
        noting if unbuffered else io.BufferedWriter(noting),  # as Python itself does
        before.encoding,
        before.errors,
        line_buffering=bool(before.line_buffering),
        write_through=unbuffered,
    )
    try:
        yield
    finally:
        with suppress(BrokenPipeError, ValueError):
            output.flush()
        sys.stdout = before
        if noting.broken:
            # What is in the buffer would raise again when the interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), noting.fileno())
            raise SystemExit(EXIT_CODE)


def output_is_closed() -> bool:
    """Whether the reader of standard output has gone, within ``quiet_at_closed_output``."""
    buffer = getattr(sys.stdout, "buffer", None)
    raw = getattr(buffer, "raw", buffer)
    return isinstance(raw, _NotingOutput) and raw.broken
