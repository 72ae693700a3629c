"""Detached processes: found again, stopped with what they started, never confused with another process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from flows.services.processes import ProcessManager, start_mark
from flows.services.run_logged import append_bounded
from flows.services.service import Service, ServiceRecord, read_record

SAVES = """
import signal, subprocess, sys, time
def stop(*_):
    open(sys.argv[1], "w").write("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("working", flush=True)
time.sleep(60)
"""
STARTS_ANOTHER = f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {SAVES!r}, *sys.argv[1:]], start_new_session=True)\ntime.sleep(60)"  # noqa: E501


def wait_until(found: Callable[[], bool], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., ServiceRecord]]:
    """``begin(code, *arguments)`` starts a service that runs Python code."""
    records: list[ServiceRecord] = []

    def start(code: str, *arguments: str) -> ServiceRecord:
        command = (sys.executable, "-c", code, *arguments)
        service = Service("worker", "test", tmp_path / "records", "unit", command, tmp_path)
        records.append(ProcessManager().start(service))
        return records[-1]

    yield start
    for record in records:
        ProcessManager().stop(record, 0.0)


def test_a_service_is_found_by_its_record_and_stopped(begin: Callable[..., ServiceRecord], tmp_path: Path) -> None:
    begun = begin(SAVES, str(tmp_path / "state"))
    record = read_record(tmp_path / "records", "worker")
    assert record == begun
    assert ProcessManager().main_pid(begun) == begun.pid
    log = Path(begun.log)
    wait_until(lambda: log.is_file() and "working" in log.read_text())
    ProcessManager().stop(begun, 20.0)
    assert ProcessManager().main_pid(begun) is None
    assert (tmp_path / "state").read_text() == "saved"


def test_what_a_service_started_saves_its_state_too(begin: Callable[..., ServiceRecord], tmp_path: Path) -> None:
    record = begin(STARTS_ANOTHER, str(tmp_path / "state"))
    log = Path(record.log)
    wait_until(lambda: log.is_file() and "working" in log.read_text())
    family = psutil.Process(record.pid).children(recursive=True)
    ProcessManager().stop(record, 20.0)
    assert (tmp_path / "state").read_text() == "saved"
    assert not [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_a_process_that_does_not_end_is_killed(begin: Callable[..., ServiceRecord]) -> None:
    record = begin(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('on', flush=True)\ntime.sleep(60)"
    )
    log = Path(record.log)
    wait_until(lambda: log.is_file() and "on" in log.read_text())
    ProcessManager().stop(record, 0.3)
    assert ProcessManager().main_pid(record) is None


def test_another_process_with_the_same_pid_is_neither_found_nor_stopped() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        mark = start_mark(stranger.pid)
        assert mark
        record = ServiceRecord(name="worker", manager="processes", pid=stranger.pid, started=f"{mark}0")
        assert ProcessManager().main_pid(record) is None
        ProcessManager().stop(record, 1.0)
        assert stranger.poll() is None
        stranger.kill()


def test_a_power_cut_leaves_a_record_without_process(begin: Callable[..., ServiceRecord]) -> None:
    record = begin("import time; time.sleep(60)")
    for process in (*psutil.Process(record.pid).children(recursive=True), psutil.Process(record.pid)):
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: ProcessManager().main_pid(record) is None)
    ProcessManager().stop(record, 1.0)


def test_a_log_is_bounded(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    for number in range(10):
        append_bounded(log, b"%d23456789\n" % number, most_bytes=30)
    assert log.read_bytes() == b"923456789\n"
    assert (tmp_path / "worker.log.1").read_bytes() == b"623456789\n723456789\n823456789\n"
    assert len(list(tmp_path.iterdir())) == 2
