"""Who may write into an output folder: one run alone, or the workers of one job side by side.

Two locks of the operating system, which frees them when their holder dies. ``OUTPUT/.stylereel/lock`` is held
exclusively by a run that works alone, or shared by the workers of one job, whose digest stands in ``holder.json``:
whoever brings another job is refused while one of them is there. ``chunks/`` has a lock for each chunk that workers
share out.

The locks are ``flock``'s. Linux carries them over NFS (versions 3 with lockd, 4 always) unless the share is mounted
with ``local_lock``; other network file systems may keep them to one machine or refuse them.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

try:
    import fcntl
except ImportError:  # Windows: one run at a time, nothing is shared
    fcntl = None  # type: ignore[assignment]

TEMPORARY_FOLDER = "temporary"
"""Below the state folder: files at work; what a kill leaves there goes when nobody works."""
_CHUNKS_FOLDER = "chunks"
_HOLDER_FILE = "holder.json"
_POLL_S = 0.1
_COMING_IN_S = 2.0
"""Another worker of the same job holds the lock exclusively for a moment while it comes in or goes."""


class OutputBusyError(RuntimeError):
    """Others hold the output folder or the chunk; the message says who."""


@contextmanager
def hold_output(state_folder: Path, *, job: str | None = None, wait_s: float | None = 0.0) -> Iterator[None]:
    """Holds an output folder, alone or together with workers of the same job.

    Who finds nobody there, or is the last to go, empties the folder of temporaries.

    Args:
        state_folder: ``OUTPUT/.stylereel``, made if it is missing.
        job: digest of the job that is shared with others; None works alone.
        wait_s: how long to wait for others; None: as long as it takes.

    Raises:
        OutputBusyError: others hold it.
        OSError: the folder cannot be written, or its file system has no locks.
    """
    state_folder.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        with _alone_by_file(state_folder, wait_s):
            yield
        return
    handle = _opened(state_folder / "lock")
    try:
        _come_in(handle, state_folder, job, wait_s)
        try:
            yield
        finally:
            if _locked(handle, fcntl.LOCK_EX):  # the last one
                _clear(state_folder)
    finally:
        os.close(handle)


@contextmanager
def hold_chunk(
    state_folder: Path,
    job: str,
    index: int,
    *,
    wait_s: float | None = 0.0,
    gives_up: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Holds a chunk of a job whose output folder is held; of all threads and processes one has it.

    Args:
        state_folder: ``OUTPUT/.stylereel``.
        job: digest of the job.
        index: of the chunk.
        wait_s: how long to wait for another holder; None: as long as it takes.
        gives_up: asked while waiting.

    Raises:
        OutputBusyError: another worker holds it.
        OSError: the folder cannot be written.
    """
    if fcntl is None:
        yield
        return
    folder = state_folder / _CHUNKS_FOLDER
    folder.mkdir(exist_ok=True)
    handle = _opened(folder / f"{job[:16]}-{index}.lock")
    try:
        until_s = _until_s(wait_s)
        while not _locked(handle, fcntl.LOCK_EX):
            if time.monotonic() >= until_s or gives_up():
                raise OutputBusyError(f"chunk {index} is at work in another process")
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(handle)


def _come_in(handle: int, state_folder: Path, job: str | None, wait_s: float | None) -> None:
    until_s = _until_s(wait_s)
    patient_until_s = time.monotonic() + _COMING_IN_S
    while True:
        if _locked(handle, fcntl.LOCK_EX):
            _clear(state_folder)
            _write_holder(state_folder, job)
            # Going from exclusive to shared lets go for a moment, in which another may have come in.
            if job is None or (_locked(handle, fcntl.LOCK_SH) and _holder(state_folder).get("job") == job):
                return
            fcntl.flock(handle, fcntl.LOCK_UN)
        elif job is not None and _locked(handle, fcntl.LOCK_SH):
            if _holder(state_folder).get("job") == job:
                return
            fcntl.flock(handle, fcntl.LOCK_UN)
            patient_until_s = 0.0
        elif job is None:
            patient_until_s = 0.0
        if time.monotonic() >= max(until_s, patient_until_s):
            raise OutputBusyError(_who(state_folder))
        time.sleep(_POLL_S)


def _who(state_folder: Path) -> str:
    holder = _holder(state_folder)
    if not {"host", "pid"} <= set(holder):
        return f"another run works on {state_folder.parent}"
    return f"another run works on {state_folder.parent} (begun by process {holder['pid']} on {holder['host']})"


def _holder(state_folder: Path) -> dict[str, object]:
    try:
        found = json.loads((state_folder / _HOLDER_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_holder(state_folder: Path, job: str | None) -> None:
    """Not synced: it speaks of processes, which a power cut ends."""
    text = json.dumps({"job": job, "host": platform.node(), "pid": os.getpid()})
    part = state_folder / f"{_HOLDER_FILE}.{os.getpid()}.part"
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(state_folder / _HOLDER_FILE)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _clear(state_folder: Path) -> None:
    for left in (state_folder / TEMPORARY_FOLDER).glob("*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
    shutil.rmtree(state_folder / _CHUNKS_FOLDER, ignore_errors=True)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)


def _locked(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK):
            raise OSError(error.errno, "its file system has no locks (flock)") from error
        raise
    return True


def _until_s(wait_s: float | None) -> float:
    return float("inf") if wait_s is None else time.monotonic() + wait_s


@contextmanager
def _alone_by_file(state_folder: Path, wait_s: float | None) -> Iterator[None]:
    lock = filelock.FileLock(state_folder / "lock")
    try:
        lock.acquire(timeout=-1 if wait_s is None else wait_s)
    except filelock.Timeout:
        raise OutputBusyError(f"another run works on {state_folder.parent}") from None
    try:
        _clear(state_folder)
        yield
    finally:
        lock.release()
