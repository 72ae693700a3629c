"""Detached processes: services without systemd, found again by pid and time of start."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from flows.services.service import Service, ServiceRecord, write_record
from tasks.shared.versioning import child_environment

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_POLL_S = 0.1


class ProcessManager:
    """Services as detached processes, each with a log of bounded size. See ``service.ServiceManager``."""

    def main_pid(self, record: ServiceRecord) -> int | None:
        """See ``ServiceManager.main_pid``: the pid counts only with the time at which its process was started."""
        return record.pid if record.pid and start_mark(record.pid) == record.started else None

    def start(self, service: Service) -> ServiceRecord:
        """See ``ServiceManager.start``."""
        service.records.mkdir(parents=True, exist_ok=True)
        environment = child_environment(service.environment)
        for name in service.dropped:
            environment.pop(name, None)
        logged = [sys.executable, "-m", "flows.services.run_logged", str(service.log), *service.command]
        child = subprocess.Popen(
            logged,
            cwd=service.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # neither Ctrl-C nor the end of the terminal reaches it
        )
        record = ServiceRecord(
            name=service.name,
            manager="processes",
            address=service.address,
            project=str(service.folder) if service.name != "server" else "",
            pid=child.pid,
            started=start_mark(child.pid) or "",
            log=str(service.log),
        )
        write_record(service.records, record)
        return record

    def stop(self, record: ServiceRecord, patience_s: float) -> None:
        """See ``ServiceManager.stop``; includes what the service has started, such as a training."""
        pid = self.main_pid(record)
        if pid is None:
            return
        family = _family(pid)
        # To all, as systemd does: Prefect's worker ends without its runs. The first, the log's writer, ends by itself.
        _signal(family[1:] or family, signal.SIGTERM)
        if not _wait(family, patience_s):
            _signal(family, signal.SIGKILL)
            _wait(family, 10.0)


def start_mark(pid: int) -> str | None:
    """Tells a process from all others that have had or will have its pid; None if there is no such process.

    On Linux the boot and the clock ticks since then: unlike a time of day, no setting of the clock changes them.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if _BOOT_ID.exists():
            ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
            return f"{_BOOT_ID.read_text().strip()} {ticks}"
        return f"{process.create_time():.2f}"
    except (psutil.Error, OSError):
        return None


def _family(pid: int) -> list[psutil.Process]:
    """The process first, then what it has started, at any depth."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _signal(family: Sequence[psutil.Process], number: int) -> None:
    for process in family:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def _wait(family: Sequence[psutil.Process], patience_s: float) -> bool:
    """Whether all have ended within ``patience_s``."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):  # those that this process has started itself
            os.waitpid(-1, os.WNOHANG)
        if not any(_is_alive(process) for process in family):
            return True
        time.sleep(_POLL_S)
    return False


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
