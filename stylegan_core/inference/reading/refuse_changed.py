"""Refuses a file that changed while it was read, such as one that a renderer is still writing."""

from __future__ import annotations

from pathlib import Path

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.storage.file_state import FileState


def refuse_changed(path: Path, state: FileState) -> None:
    """Compares size and modification time with those before the file was read.

    Args:
        path: the file.
        state: from before.

    Raises:
        UnreadablePictureError: they differ.
    """
    status = path.stat()
    if (status.st_size, status.st_mtime_ns) != (state.size_bytes, state.mtime_ns):
        raise UnreadablePictureError(f"{path.name} changed while it was read: it is still being written")
