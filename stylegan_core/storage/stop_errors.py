"""Operating system errors that stop a job, because the next file would fail too: full disks, vanished mounts, ...

The only place that decides this; every other error concerns one file.
"""

from __future__ import annotations

import errno
from pathlib import Path


def _numbers(*names: str) -> frozenset[int]:
    """The numbers of errors by their names; some systems lack some."""
    return frozenset(getattr(errno, name) for name in names if hasattr(errno, name))


_LOST_MOUNT = _numbers("ESTALE", "ENOTCONN", "ENODEV")
_NO_HANDLES = _numbers("EMFILE", "ENFILE")
_FULL_DISK = _numbers("ENOSPC", "EDQUOT")
_FAILING_DISK = _numbers("EIO")
_NO_PERMISSION = _numbers("EROFS", "EACCES", "EPERM")

STOP_ERRNOS = _LOST_MOUNT | _NO_HANDLES | _FULL_DISK | _FAILING_DISK
"""The state of the machine, not of the call: the same command finishes the job once the cause is removed."""
_READING_STOPS = STOP_ERRNOS - _FAILING_DISK
_WRITING_STOPS = STOP_ERRNOS | _NO_PERMISSION


def lost_folder(folder: Path) -> OSError:
    """The error of an output folder that is no longer there; it stops the job."""
    return OSError(errno.ESTALE, "it was unmounted or removed", str(folder))


def stops(error: BaseException) -> bool:
    """Whether an error, while reading or writing, is the machine's and the same command should be run again."""
    return isinstance(error, OSError) and error.errno in STOP_ERRNOS


def reading_stops(error: BaseException) -> bool:
    """Whether the next frame could not be read either.

    An input on a bad sector (EIO) or without permission is one bad input; the others are read.
    """
    return isinstance(error, OSError) and error.errno in _READING_STOPS


def writing_stops(error: BaseException) -> bool:
    """Whether the next frame could not be written either: all outputs share one disk and its permissions."""
    return isinstance(error, OSError) and error.errno in _WRITING_STOPS
