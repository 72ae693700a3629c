"""Whole files or none: write to a temporary name, fsync, rename, fsync the folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def fsync_folder(folder: Path) -> None:
    """Makes renames inside ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomically(path: Path, write: Callable[[Path], None], temporary_folder: Path | None = None) -> None:
    """Calls ``write`` with a temporary name that keeps the suffix, then renames the result to ``path``.

    Args:
        path: the final name; its folder is made if it is missing.
        write: writes and closes the file that it is given.
        temporary_folder: where the temporary lies (same file system); default: beside ``path``.
    Raises:
        OSError: the temporary is removed and ``path`` is left as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = temporary_folder or path.parent
    folder.mkdir(parents=True, exist_ok=True)
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
    fsync_folder(path.parent)


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Writes ``content`` to ``path``, whole or not at all."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_atomically(path, write)
