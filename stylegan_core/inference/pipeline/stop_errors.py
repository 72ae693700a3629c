"""Errors that stop a job instead of failing one frame: full disks, vanished mounts, stale handles."""

from __future__ import annotations

import errno
from pathlib import Path

_NO_MOUNT = ("ESTALE", "ENOTCONN", "ENODEV", "EMFILE", "ENFILE")
_READING_STOPS = frozenset(getattr(errno, name) for name in _NO_MOUNT if hasattr(errno, name))
_WRITING_STOPS = _READING_STOPS | {
    getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EROFS", "EIO", "EACCES", "EPERM") if hasattr(errno, name)
}


def reading_stops(error: BaseException) -> bool:
    """Whether the next frame could not be read either: a vanished mount, no file handles left."""
    return isinstance(error, OSError) and error.errno in _READING_STOPS


def writing_stops(error: BaseException) -> bool:
    """Whether the next frame could not be written either: a full disk, a folder without permission, ..."""
    return isinstance(error, OSError) and error.errno in _WRITING_STOPS


def folder_identity(folder: Path) -> tuple[int, int] | None:
    """Tells a folder from the one that shows in its place when its file system is unmounted; None if there is none."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
