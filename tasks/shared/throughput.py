"""Warns when throughput falls because other processes use the CPU, with the cause and what to do."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass

from stylegan_core.threads import core_numbers, usable_cores

log = logging.getLogger(__name__)

SLOW_FRACTION = 1 / 3
"""Of the best rate: below it a warning is due."""
_RECOVERED_FRACTION = 1 / 2
_LEAST_OTHERS_CORES = 0.5
_BUSY = ("user", "nice", "system", "irq", "softirq", "steal")
"""Fields of psutil's CPU times in which a core works."""
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
    """Cores that other processes use, between two calls; of the cores that this process may use."""

    def __init__(self) -> None:
        self._last = _cpu_seconds()

    def others_cores(self) -> float:
        """Mean number of cores in use by others since the last call, or since the start."""
        last, self._last = self._last, _cpu_seconds()
        elapsed_s = max(self._last.at_s - last.at_s, 1e-3)
        busy_s, own_s = self._last.busy_s - last.busy_s, self._last.own_s - last.own_s
        return max(0.0, (busy_s - own_s) / elapsed_s)


@dataclass(frozen=True)
class _CpuSeconds:
    """CPU seconds that were spent until the moment ``at_s``: by all processes on the usable cores, and by this one."""

    at_s: float
    busy_s: float
    own_s: float


def _cpu_seconds() -> _CpuSeconds:
    import psutil

    cores = psutil.cpu_times(percpu=True)
    own = psutil.Process()
    own_s = sum(own.cpu_times()[:4])  # user and system, of this process and of its children that ended
    for child in own.children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it ended meanwhile
            own_s += sum(child.cpu_times()[:2])
    busy_s = sum(float(getattr(cores[at], name, 0.0)) for at in core_numbers() if at < len(cores) for name in _BUSY)
    return _CpuSeconds(time.monotonic(), busy_s, float(own_s))


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
