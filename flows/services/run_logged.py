"""Runs a command and keeps its output in a log file of bounded size: ``python -m flows.services.run_logged LOG CMD``.

For services without systemd. It imports little, since it runs as long as the service. SIGTERM and SIGINT are passed
on to the command, whose exit code it has.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

MOST_BYTES = 5_000_000
"""Of a log file; there are two, since the former one is kept with the suffix .1."""


def main(arguments: list[str]) -> int:
    """Runs ``arguments[1:]`` with the log ``arguments[0]`` until its output ends; returns its exit code."""
    log, command = Path(arguments[0]), arguments[1:]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: child.send_signal(received))
    assert child.stdout is not None
    # The end of the output: what the command has started may outlive it, as a training that saves its state.
    while chunk := os.read(child.stdout.fileno(), 65536):
        append_bounded(log, chunk)
    return child.wait()


def append_bounded(log: Path, chunk: bytes, most_bytes: int = MOST_BYTES) -> None:
    """Appends to a log; a log that would be larger than ``most_bytes`` is renamed first, and replaces the former."""
    try:
        if log.exists() and log.stat().st_size + len(chunk) > most_bytes:
            log.replace(log.with_name(f"{log.name}.1"))
        with log.open("ab") as sink:
            sink.write(chunk)
    except OSError:
        return  # a full disk must not end the service


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
