"""Calls of a program whose lines are printed as they come, and which ends with all its children."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

from tasks.shared.child_processes.time_limit import TimeLimit, nearest_limit
from tasks.shared.errors import TimeLimitError

_MOST_LINES = 200
_STOP_S = 30.0
_TIME_LIMIT_STOP_S = 180.0
"""For a training that saves its state; a stop by a person or by Prefect has less time, which they set."""
_KILL_S = 10.0
_POLL_S = 0.2


def call(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], *, keep: str = ""
) -> tuple[int, list[str]]:
    """Runs a program to its end and prints its lines.

    If anything ends the call before, all processes of the program get SIGTERM, then SIGKILL. A process that the system
    cannot kill, because a network share does not answer, is left behind.

    Args:
        command: the program and its arguments.
        folder: in which it runs.
        environment: of it.
        keep: lines with these words are returned, however old they are; "" keeps none.

    Returns:
        Exit code and last lines.

    Raises:
        TimeLimitError: the time limit of the context has passed.
    """
    child = subprocess.Popen(
        list(command),
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        bufsize=1,
        start_new_session=True,  # so that a stop reaches the stage's process too, not dvc alone
    )
    assert child.stdout is not None
    limit = nearest_limit()
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    # A thread reads: this one can stop waiting for a line, and what is being stopped can still write.
    threading.Thread(target=_read, args=(child.stdout, lines), name="lines", daemon=True).start()
    kept: list[str] = []
    last: deque[str] = deque(maxlen=_MOST_LINES)
    try:
        for line in _until_end(lines, limit):
            if keep and keep in line:
                kept.append(line)
            last.append(line)
            print(line, end="", flush=True)
        return _wait(child, limit), [*kept, *last]
    except TimeLimitError:
        stop_group(child, _TIME_LIMIT_STOP_S)
        _print_rest(lines)
        raise
    except BaseException:
        stop_group(child)
        raise


def capture(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs a short program to its end and returns what it says.

    If anything ends the call before, the program and its children get SIGTERM, on which git removes its locks, then
    SIGKILL. It keeps this terminal: ssh may ask a user for a passphrase.

    Raises:
        TimeLimitError: the time limit of the context has passed.
    """
    limit = nearest_limit()
    child = subprocess.Popen(
        list(command), cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        output, errors = child.communicate(timeout=limit.remaining_s() if limit else None)
    except subprocess.TimeoutExpired:
        _stop_tree(child)
        assert limit is not None
        raise limit.error() from None
    except BaseException:
        _stop_tree(child)
        raise
    return subprocess.CompletedProcess(child.args, child.returncode, output, errors)


def _stop_tree(child: subprocess.Popen[str]) -> None:
    """Ends a program without a session of its own, and its children."""
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(child.pid)
        alive = [*parent.children(recursive=True), parent]
        for number, time_s in ((signal.SIGTERM, _STOP_S), (signal.SIGKILL, _KILL_S)):
            for process in alive:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(number)
            _, alive = psutil.wait_procs(alive, timeout=time_s)
    child.poll()


def stop_group(child: subprocess.Popen[str], stop_s: float = _STOP_S) -> None:
    """Ends a program and all that it has started: SIGTERM, on which a training saves its state, then SIGKILL.

    Args:
        child: the first process of a session.
        stop_s: time for SIGTERM.
    """
    for number, time_s in ((signal.SIGTERM, stop_s), (signal.SIGKILL, _KILL_S)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        deadline = time.monotonic() + time_s
        while _group_lives(child) and time.monotonic() < deadline:
            time.sleep(_POLL_S)


def _read(source: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    with contextlib.suppress(OSError, ValueError):
        for line in source:
            lines.put(line)
    lines.put(None)


def _until_end(lines: queue.SimpleQueue[str | None], limit: TimeLimit | None) -> Iterator[str]:
    while True:
        try:
            line = lines.get(timeout=limit.remaining_s() if limit else None)
        except queue.Empty:
            assert limit is not None
            raise limit.error() from None
        if line is None:
            return
        yield line
        if limit is not None and limit.remaining_s() <= 0:  # a queue that is never empty does not time out
            raise limit.error()


def _wait(child: subprocess.Popen[str], limit: TimeLimit | None) -> int:
    try:
        return child.wait(timeout=limit.remaining_s() if limit else None)
    except subprocess.TimeoutExpired:
        assert limit is not None
        raise limit.error() from None


def _print_rest(lines: queue.SimpleQueue[str | None]) -> None:
    """What the program said when it was stopped, such as the step that a training has saved."""
    with contextlib.suppress(queue.Empty):
        while (line := lines.get(timeout=_POLL_S)) is not None:
            print(line, end="", flush=True)


def _group_lives(child: subprocess.Popen[str]) -> bool:
    """Whether a process of the group is alive; a zombie, which waits for its parent, is not."""
    child.poll()
    try:
        os.killpg(child.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    for process in psutil.process_iter(["status"]):
        with contextlib.suppress(OSError, psutil.Error):
            if os.getpgid(process.pid) == child.pid and process.info["status"] != psutil.STATUS_ZOMBIE:
                return True
    return False
