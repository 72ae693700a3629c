"""Output lock: one run alone, or several workers of the same job, may write into an output folder.

Two kinds of operating system locks, which are released when their holder dies. ``OUTPUT/.stylereel/lock`` is held
exclusively by a run that works alone, or shared by the workers of one job, whose digest is in ``holder.json``: a run of
another job is refused as long as there is such a worker. ``chunks/`` has a lock file for each chunk of a shared job.

The locks are those of ``flock``. Linux extends them over NFS (version 3 with lockd, version 4 always) unless the share
is mounted with ``local_lock``; other network file systems may limit them to one machine or refuse them.

``chunks/`` is removed only under the exclusive lock of the folder. All chunk locks are held under its shared lock, so
that no lock file is removed, and made again as another file, while a worker holds it.
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
except ImportError:  # Windows: one run at a time, no shared jobs
    fcntl = None  # type: ignore[assignment]

TEMPORARY_FOLDER = "temporary"
"""Below the state folder: files that are being written; removed when no run holds the lock, such as after a kill."""
_CHUNKS_FOLDER = "chunks"
_HOLDER_FILE = "holder.json"
_POLL_S = 0.1
_ENTERING_S = 2.0
"""Wait for another worker of the same job, which holds the lock exclusively for a moment as it enters or leaves."""


class OutputBusyError(RuntimeError):
    """Another run holds the output folder or the chunk; the message names it."""


@contextmanager
def hold_output(state_folder: Path, *, job: str | None = None, wait_s: float | None = 0.0) -> Iterator[None]:
    """Holds the lock of an output folder, alone or together with workers of the same job.

    The first holder and the last one remove the temporary files.

    Args:
        state_folder: ``OUTPUT/.stylereel``, created if missing.
        job: digest of the job that other workers may share; None works alone.
        wait_s: how long to wait for other holders; None: without limit.

    Raises:
        OutputBusyError: another run holds the lock.
        OSError: the folder cannot be written, or its file system has no locks.
    """
    state_folder.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        with _held_by_file_lock(state_folder, wait_s):
            yield
        return
    handle = _open(state_folder / "lock")
    try:
        _enter(handle, state_folder, job, wait_s)
        try:
            yield
        finally:
            if _try_lock(handle, fcntl.LOCK_EX):  # the last holder
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
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Holds the lock of a chunk, under ``hold_output`` for the same job; a single thread of all processes has it.

    Args:
        state_folder: ``OUTPUT/.stylereel``.
        job: digest of the job.
        index: of the chunk.
        wait_s: how long to wait for another holder; None: without limit.
        stopped: ends the wait if it is true; polled.

    Raises:
        OutputBusyError: another worker holds the lock.
        OSError: the folder cannot be written.
    """
    if fcntl is None:
        yield
        return
    folder = state_folder / _CHUNKS_FOLDER
    folder.mkdir(exist_ok=True)
    handle = _open(folder / f"{job[:16]}-{index}.lock")
    try:
        until_s = _deadline_s(wait_s)
        while not _try_lock(handle, fcntl.LOCK_EX):
            if time.monotonic() >= until_s or stopped():
                raise OutputBusyError(f"another process is working on chunk {index}")
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(handle)


def _enter(handle: int, state_folder: Path, job: str | None, wait_s: float | None) -> None:
    until_s = _deadline_s(wait_s)
    entering_until_s = time.monotonic() + _ENTERING_S
    while True:
        if _try_lock(handle, fcntl.LOCK_EX):
            _clear(state_folder)
            _write_holder(state_folder, job)
            # The change from exclusive to shared releases the lock for a moment: another run may have entered.
            if job is None or (_try_lock(handle, fcntl.LOCK_SH) and _holder(state_folder).get("job") == job):
                return
            fcntl.flock(handle, fcntl.LOCK_UN)
        elif job is not None and _try_lock(handle, fcntl.LOCK_SH):
            if _holder(state_folder).get("job") == job:
                return
            fcntl.flock(handle, fcntl.LOCK_UN)
            entering_until_s = 0.0
        elif job is None:
            entering_until_s = 0.0
        if time.monotonic() >= max(until_s, entering_until_s):
            raise OutputBusyError(_describe_holder(state_folder))
        time.sleep(_POLL_S)


def _describe_holder(state_folder: Path) -> str:
    holder = _holder(state_folder)
    if not {"host", "pid"} <= set(holder):
        return f"another run works on {state_folder.parent}"
    return f"another run works on {state_folder.parent} (started by process {holder['pid']} on {holder['host']})"


def _holder(state_folder: Path) -> dict[str, object]:
    try:
        found = json.loads((state_folder / _HOLDER_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_holder(state_folder: Path, job: str | None) -> None:
    """Not synced: a power cut ends the processes that it names."""
    text = json.dumps({"job": job, "host": platform.node(), "pid": os.getpid()})
    part = state_folder / f"{_HOLDER_FILE}.{os.getpid()}.part"
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(state_folder / _HOLDER_FILE)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _clear(state_folder: Path) -> None:
    """Only under the exclusive lock, see above."""
    for temporary in (state_folder / TEMPORARY_FOLDER).glob("*"):
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
    shutil.rmtree(state_folder / _CHUNKS_FOLDER, ignore_errors=True)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)


def _try_lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK):
            raise OSError(error.errno, "its file system does not support locks (flock)") from error
        raise
    return True


def _deadline_s(wait_s: float | None) -> float:
    return float("inf") if wait_s is None else time.monotonic() + wait_s


@contextmanager
def _held_by_file_lock(state_folder: Path, wait_s: float | None) -> Iterator[None]:
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
