"""A warning is due when the rate falls below a third of its best while others use the CPU, once for each fall."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.shared import throughput
from tasks.shared.throughput import CpuUse, Slowdown, ThroughputMonitor


class _Others(CpuUse):
    def __init__(self, cores: float) -> None:
        self.cores = cores

    def others_cores(self) -> float:
        return self.cores


def test_a_fall_is_reported_once_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    monitor = ThroughputMonitor("training", "steps", "End them.", _Others(1.5))
    assert monitor.rate(12.0) is None
    assert monitor.rate(4.1) is None
    with caplog.at_level(logging.WARNING):
        assert monitor.rate(3.9) == Slowdown(3.9, 12.0, 1.5)
    assert "3.9 steps/s" in caplog.text
    assert "its best (12)" in caplog.text
    assert "1.5 of" in caplog.text
    assert monitor.rate(1.0) is None
    assert monitor.rate(6.5) is None  # it recovers
    assert monitor.rate(2.0) == Slowdown(2.0, 12.0, 1.5)


def test_a_fall_of_its_own_is_not_reported() -> None:
    monitor = ThroughputMonitor("stylize", "frames", "", _Others(0.2))
    assert monitor.rate(12.0) is None
    assert monitor.rate(1.0) is None


def test_frames_are_counted_over_windows() -> None:
    monitor = ThroughputMonitor("stylize", "frames", "", _Others(2.0))
    start_s = monitor._since_s
    assert monitor.count(50, start_s + 4.9) is None  # the window is not over
    assert monitor.count(100, start_s + 10.0) is None  # 10 a second, the best
    assert monitor.count(107, start_s + 20.0) is None  # too few to judge
    assert monitor.count(120, start_s + 30.0) == Slowdown(1.0, 10.0, 2.0)


_BURN = "import sys, time\nwhile time.process_time() < 0.5: pass\nopen(sys.argv[1], 'w').close()"
_START = "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', *sys.argv[1:]], stdout=2)"


def test_a_process_of_others_is_seen(tmp_path: Path) -> None:
    done = tmp_path / "done"
    before = throughput._cpu_seconds()
    # The outer process ends at once, so that the inner one is not a child of this one.
    subprocess.run([sys.executable, "-c", _START, _BURN, str(done)], check=True)
    while not done.exists():
        time.sleep(0.05)
    after = throughput._cpu_seconds()
    assert after.busy_s - before.busy_s - (after.own_s - before.own_s) > 0.3


def test_a_child_counts_as_this_process(tmp_path: Path) -> None:
    before = throughput._cpu_seconds()
    subprocess.run([sys.executable, "-c", _BURN, str(tmp_path / "done")], check=True)
    assert throughput._cpu_seconds().own_s - before.own_s > 0.4
