"""The one error for an input picture that cannot be used, in words that a person understands."""

from __future__ import annotations

from pathlib import Path


class UnreadablePictureError(ValueError):
    """A file that is no usable picture.

    Attributes:
        reason: why, in words for the person who made the file, without its name.
        path: the file, if known.
    """

    def __init__(self, reason: str, path: Path | None = None) -> None:
        super().__init__(reason if path is None else f"{path}: {reason}")
        self.reason = reason
        self.path = path
