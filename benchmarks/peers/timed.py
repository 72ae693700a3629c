"""Runs a peer's training for a given time, and stops it as its user would."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

GRACE_S = 120.0
"""Between termination and kill: some peers save when they are terminated."""
_POLL_S = 0.5


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
        minutes: processor time over the threads, which is the wall time of idle cores; loading is part of it.
        folder: the working directory.
        threads: of torch and OpenMP.
        environment: more variables.
    Returns:
        Seconds of the same time that it ran, without the grace.
    Raises:
        SystemExit: the command failed on its own.
    """
    limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **limits, "CUDA_VISIBLE_DEVICES": "", **(environment or {})},
        start_new_session=True,
    )
    ran_s = 0.0
    while process.poll() is None:
        ran_s = max(ran_s, _processor_s(process.pid) / threads)
        if ran_s >= 60.0 * minutes:
            _stop(process)
            return ran_s
        time.sleep(_POLL_S)
    if process.returncode:
        raise SystemExit(f"the peer failed with exit code {process.returncode}")
    return ran_s


def _processor_s(pid: int) -> float:
    """Of a process and its children, those that ended included; 0 if it has ended."""
    try:
        parent = psutil.Process(pid)
        times = [each.cpu_times() for each in (parent, *parent.children(recursive=True))]
    except psutil.NoSuchProcess:
        return 0.0
    return sum(part.user + part.system for part in times) + times[0].children_user + times[0].children_system


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
