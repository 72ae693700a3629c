"""A run that does not end at its time limit is ended: by SIGTERM where that helps, else with its process."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from flows.time_out import time_out
from tasks.shared.child_processes.time_limit import HOUR_S, TimeLimit, nearest_limit
from tasks.shared.errors import StoppedError, TimeLimitError

LIMIT_S = 1.0


def limit(seconds: float = LIMIT_S) -> TimeLimit:
    return TimeLimit.start("stylize-on-demand", "limits.on_demand_hours", seconds / HOUR_S)


def never(_: TimeLimitError) -> None:
    raise AssertionError("it ended by itself")


def stylize(stopped: threading.Event) -> None:
    while not stopped.is_set():
        time.sleep(0.05)
    raise StoppedError("SIGTERM; 3 of 9 frames are done")


def test_a_run_that_ends_in_time_is_left_alone() -> None:
    with time_out(limit(600.0), interrupt=True, killed=never):
        assert nearest_limit() is not None
    with time_out(None, interrupt=True, killed=never):
        assert nearest_limit() is None
    assert not [thread for thread in threading.enumerate() if thread.name == "time-out" and thread.join(10.0)]


def test_the_error_of_a_run_that_has_time_is_its_own() -> None:
    with pytest.raises(StoppedError, match="disk full"), time_out(limit(600.0), interrupt=True, killed=never):
        raise StoppedError("disk full")


def test_work_of_this_process_is_interrupted() -> None:
    """As stylize does it: the handler notes the signal, and the job ends after the frames at work."""
    stopped = threading.Event()
    previous = signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    try:
        with (
            pytest.raises(TimeLimitError, match=r"limits\.on_demand_hours") as raised,
            time_out(limit(), interrupt=True, killed=never),
        ):
            stylize(stopped)
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert "3 of 9 frames" in str(raised.value.__cause__)


_HANGS = """
import pathlib, subprocess, sys, threading, time
from flows.time_out import time_out
from tasks.shared.child_processes.time_limit import TimeLimit
child = subprocess.Popen(["sleep", "600"])
pathlib.Path("pid").write_text(str(child.pid))
def killed(error):
    pathlib.Path("reported").write_text(str(error))
    {report}
limit = TimeLimit.start("pipeline", "limits.run_hours", 1.0 / 3600.0)
import flows.time_out as module
module._REPORT_S = 2.0
with time_out(limit, interrupt=False, killed=killed, grace_s=1.0):
    while True:
        try:
            time.sleep(600)
        finally:
            continue
"""


@pytest.mark.parametrize("report", ["pass", "time.sleep(600)"], ids=["reported", "the server hangs, too"])
def test_a_process_that_hangs_is_ended_with_its_children(report: str, tmp_path: Path) -> None:
    code = _HANGS.format(report=report)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, timeout=120, check=False)
    assert done.returncode == 3
    assert "raise limits.run_hours" in (tmp_path / "reported").read_text()
    assert is_gone(int((tmp_path / "pid").read_text()))


def is_gone(pid: int) -> bool:
    """Within seconds: a process that was killed takes its time to end on a busy machine."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False
