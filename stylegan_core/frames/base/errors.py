"""The error for an input picture that cannot be used, with a reason for the user."""

from __future__ import annotations

from pathlib import Path


class UnreadablePictureError(ValueError):
    """A file is not a usable picture.

    Attributes:
        reason: why, as a message for the user, without the file name.
        path: the file, if known.
    """

    def __init__(self, reason: str, path: Path | None = None) -> None:
        super().__init__(reason if path is None else f"{path}: {reason}")
        self.reason = reason
        self.path = path
