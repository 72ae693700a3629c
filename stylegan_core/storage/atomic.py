"""Atomic file writes: write to a temporary name, fsync, rename, fsync the folder."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_thread = threading.local()


def fsync_folder(folder: Path) -> None:
    """Makes renames inside ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def defer_folder_syncs() -> Iterator[set[Path]]:
    """Defers the folder fsync of this thread's ``write_atomically`` calls; the caller syncs once for many files.

    A thread-local setting, because an argument would have to pass through the writers of all formats.

    Yields:
        The folders to sync, filled as files are written.
    """
    before: set[Path] | None = getattr(_thread, "deferred", None)
    _thread.deferred = deferred = set[Path]()
    try:
        yield deferred
    finally:
        _thread.deferred = before


def write_atomically(path: Path, write: Callable[[Path], None], temporary_folder: Path | None = None) -> None:
    """Calls ``write`` with a temporary name that keeps the suffix, then renames the result to ``path``.

    Args:
        path: the final name; its folder is created if missing.
        write: writes and closes the file of the given name.
        temporary_folder: for the temporary file, on the same file system; default: the folder of ``path``.
    Raises:
        OSError: the temporary file is removed and ``path`` is unchanged.
    """
    folder = temporary_folder or path.parent
    for needed in {path.parent, folder}:
        if not needed.is_dir():
            needed.mkdir(parents=True, exist_ok=True)
    # The suffix comes last: picture writers choose the format by it.
    temporary = folder / f".{path.stem}.{os.getpid()}.{os.urandom(4).hex()}.tmp{path.suffix}"
    try:
        write(temporary)
        handle = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    deferred: set[Path] | None = getattr(_thread, "deferred", None)
    if deferred is None:
        fsync_folder(path.parent)
    else:
        deferred.add(path.parent)


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Writes ``content`` to ``path`` atomically."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_atomically(path, write)
