"""Warns when throughput falls because other processes use the CPU, with the cause and what to do."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass

from stylegan_core.threads import usable_cores

log = logging.getLogger(__name__)

SLOW_FRACTION = 1 / 3
"""Of the best rate: below it a warning is due."""
_RECOVERED_FRACTION = 1 / 2
_LEAST_OTHERS_CORES = 0.5
_WINDOW_S = 5.0
_WINDOW_ITEMS = 8


@dataclass(frozen=True)
class Slowdown:
    """A fall of throughput.

    Attributes:
        rate_per_s: now.
        best_per_s: the best so far.
        others_cores: cores that other processes used meanwhile.
    """

    rate_per_s: float
    best_per_s: float
    others_cores: float


class CpuUse:
    """Cores that other processes use, between two calls."""

    def __init__(self) -> None:
        import psutil

        self._psutil, self._own = psutil, psutil.Process(os.getpid())
        self.others_cores()

    def others_cores(self) -> float:
        """Cores in use by others since the last call; 0 at the first."""
        total = sum(float(percent) for percent in self._psutil.cpu_percent(None, percpu=True)) / 100
        return max(0.0, total - float(self._own.cpu_percent(None)) / 100)


class ThroughputMonitor:
    """Compares the rate of a long job with its best, and warns once for each fall below a third of it.

    A fall without other processes has its cause in the job itself, larger frames for instance, and is not reported.

    Args:
        doing: the job and its unit, such as "training" and "steps".
        unit: plural.
        advice: what the user can do.
        cpu: measures what others use; default: this machine.
    """

    def __init__(self, doing: str, unit: str, advice: str, cpu: CpuUse | None = None) -> None:
        self._doing, self._unit, self._advice = doing, unit, advice
        self._cpu = cpu or CpuUse()
        self._best_per_s, self._slow = 0.0, False
        self._since_s, self._since_items = time.monotonic(), 0

    def count(self, items: int, now_s: float | None = None) -> Slowdown | None:
        """Takes the number of items done so far; the rate is measured over windows of some seconds.

        Args:
            items: done since the start.
            now_s: of the monotonic clock; default: now.
        """
        now_s = time.monotonic() if now_s is None else now_s
        spent_s, done = now_s - self._since_s, items - self._since_items
        if spent_s < _WINDOW_S or (done < _WINDOW_ITEMS and spent_s < 12 * _WINDOW_S):
            return None
        self._since_s, self._since_items = now_s, items
        return self.rate(done / spent_s)

    def rate(self, per_s: float) -> Slowdown | None:
        """Takes a rate that was measured since the last call; warns and returns the fall if there is one."""
        others = self._cpu.others_cores()
        self._best_per_s = max(self._best_per_s, per_s)
        if per_s >= self._best_per_s * _RECOVERED_FRACTION:
            self._slow = False
        if self._slow or per_s >= self._best_per_s * SLOW_FRACTION or others < _LEAST_OTHERS_CORES:
            return None
        self._slow = True
        log.warning(
            "%s runs at %.3g %s/s, less than a third of its best (%.3g): other processes use %.1f of %d cores. %s",
            *(self._doing, per_s, self._unit, self._best_per_s, others, usable_cores(), self._advice),
        )
        return Slowdown(per_s, self._best_per_s, others)
