"""Whole files or none: write to a temporary name, fsync, rename, fsync the folder."""

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
def folder_syncs_left() -> Iterator[set[Path]]:
    """Leaves the fsync of folders after this thread's ``write_atomically`` to the caller, who syncs for many files.

    Not an argument: it would have to pass through the writers of all formats, which it does not concern.

    Yields:
        Folders that are still to be synced, filled as files are written.
    """
    before: set[Path] | None = getattr(_thread, "left", None)
    _thread.left = left = set[Path]()
    try:
        yield left
    finally:
        _thread.left = before


def write_atomically(path: Path, write: Callable[[Path], None], temporary_folder: Path | None = None) -> None:
    """Calls ``write`` with a temporary name that keeps the suffix, then renames the result to ``path``.

    Args:
        path: the final name; its folder is made if it is missing.
        write: writes and closes the file that it is given.
        temporary_folder: where the temporary lies (same file system); default: beside ``path``.
    Raises:
        OSError: the temporary is removed and ``path`` is left as it was.
    """
    folder = temporary_folder or path.parent
    for needed in {path.parent, folder}:
        if not needed.is_dir():
            needed.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: picture writers choose the format by it.
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
    left: set[Path] | None = getattr(_thread, "left", None)
    if left is None:
        fsync_folder(path.parent)
    else:
        left.add(path.parent)


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Writes ``content`` to ``path``, whole or not at all."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_atomically(path, write)
