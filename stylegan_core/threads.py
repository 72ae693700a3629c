"""CPU threads of torch: as many as there are free cores when a process starts.

OpenMP threads wait for each other at the end of every parallel loop. One thread that shares its core with another
process delays all of them, so on a busy machine fewer threads are faster (docs/operations.md has the table).
"""

from __future__ import annotations

import logging
import math
import os
from pathlib import Path

from stylegan_core.settings import SettingsError

log = logging.getLogger(__name__)

THREADS_VARIABLE = "STYLEREEL_THREADS"
"""Environment variable with the number of threads, or "auto"; child processes inherit it."""

_MEASURED_S = 0.25
_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def requested_threads() -> int | None:
    """The number of threads that the user set in ``STYLEREEL_THREADS``; None is automatic.

    Raises:
        SettingsError: the variable holds neither "auto" nor a number of at least 1.
    """
    text = os.environ.get(THREADS_VARIABLE, "").strip()
    if text in ("", "auto"):
        return None
    if not text.isdecimal() or int(text) < 1:
        raise SettingsError(f"threads must be auto or a number of at least 1, got {text!r}")
    return int(text)


def core_numbers() -> list[int]:
    """Numbers of the cores in the CPU affinity of this process; of all cores where the system has no affinity."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [*range(os.cpu_count() or 1)]


def usable_cores() -> int:
    """Cores that this process may use: its CPU affinity, limited by the quota of its control group."""
    cores = len(core_numbers())
    try:
        quota, period = _CGROUP_QUOTA.read_text(encoding="ascii").split()
        return max(1, min(cores, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no control group, or "max": no quota
        return cores


def free_cores(measured_s: float = _MEASURED_S) -> float:
    """Usable cores that other processes leave idle, measured while this thread sleeps.

    Args:
        measured_s: duration of the measurement.
    """
    import psutil

    busy = psutil.cpu_percent(measured_s, percpu=True)
    idle = sum(1.0 - float(busy[core]) / 100 for core in core_numbers() if core < len(busy))
    return min(float(usable_cores()), idle)


def choose_threads() -> int:
    """The number of threads to use: as requested, else ``OMP_NUM_THREADS``, else one a free core.

    Raises:
        SettingsError: see ``requested_threads``.
    """
    if (requested := requested_threads()) is not None:
        return requested
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if given.isdecimal() and int(given) >= 1:
        return int(given)
    cores = usable_cores()
    if cores == 1:
        return 1
    free = free_cores()
    threads = max(1, math.floor(free + 0.5))
    if threads < cores:
        log.info(
            "other processes use %.1f of %d cores: using %d %s (--threads sets another number)",
            cores - free,
            cores,
            threads,
            "thread" if threads == 1 else "threads",
        )
    return threads


def use_threads() -> int:
    """Sets torch's number of threads by ``choose_threads`` and returns it; call it before torch computes anything.

    Raises:
        SettingsError: see ``requested_threads``.
    """
    import torch

    threads = choose_threads()
    if threads != torch.get_num_threads():
        torch.set_num_threads(threads)
    return threads
