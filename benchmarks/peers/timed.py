"""Runs a peer's training for a given time, and stops it as its user would."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

GRACE_S = 120.0
"""Between termination and kill: some peers save when they are terminated."""


def run_for(
    command: Sequence[str | Path],
    minutes: float,
    folder: Path,
    threads: int,
    environment: Mapping[str, str] | None = None,
) -> float:
    """Runs a command in ``folder`` for so many minutes, then terminates it.

    Args:
        command: program and arguments.
        minutes: wall time, from the start of the process; loading is part of it.
        folder: the working directory.
        threads: of torch and OpenMP.
        environment: more variables.
    Returns:
        Seconds that it ran, without the grace.
    Raises:
        SystemExit: the command failed on its own.
    """
    limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    begun_s = time.monotonic()
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **limits, "CUDA_VISIBLE_DEVICES": "", **(environment or {})},
        start_new_session=True,
    )
    try:
        process.wait(60.0 * minutes)
    except subprocess.TimeoutExpired:
        ran_s = time.monotonic() - begun_s
        _stop(process)
        return ran_s
    if process.returncode:
        raise SystemExit(f"the peer failed with exit code {process.returncode}")
    return time.monotonic() - begun_s


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Terminates the process and its children, which have a session of their own; kills what remains."""
    for signum in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, signum)
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            break
