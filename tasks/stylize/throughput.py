"""Warns when frames/s fall because other processes use the CPU."""

from __future__ import annotations

from collections.abc import Callable

from stylegan_core.inference.job.report import Progress
from tasks.shared.throughput import ThroughputMonitor

_ADVICE = "End them, or stop this run and start it again with fewer --threads: finished frames are kept"


def with_throughput_warning(progress: Callable[[Progress], None] | None) -> Callable[[Progress], None]:
    """A progress callback that measures the rate of made frames before it passes the progress on."""
    monitor = ThroughputMonitor("stylize", "frames", _ADVICE)

    def measured(now: Progress) -> None:
        monitor.count(now.done - now.skipped - now.failed)
        if progress is not None:
            progress(now)

    return measured
