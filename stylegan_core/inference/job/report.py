"""What became of frames: the parts of a chunk's report, and a reason in words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Failure:
    """An input that gave no output.

    Attributes:
        path: the input.
        reason: in words for a person.
    """

    path: Path
    reason: str


@dataclass(frozen=True)
class ChunkReport:
    """What became of a chunk's frames.

    Attributes:
        made: outputs that were written.
        skipped: frames that were done before.
        failed: inputs that gave no output.
        warnings: what a user should hear about inputs that gave one.
    """

    made: tuple[str, ...]
    skipped: int
    failed: tuple[Failure, ...]
    warnings: tuple[Failure, ...]


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Attributes:
        total: frames of the job.
        done: frames made, skipped or failed.
        skipped: of these, done before.
        failed: of these, failed.
        frames_per_s: rate at which frames were made since the job began; 0 before the first.
    """

    total: int
    done: int
    skipped: int
    failed: int
    frames_per_s: float


class ChunkTally:
    """A chunk's outcome while it grows, under the stylizer's lock."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.skipped = 0
        self.failed: list[Failure] = []
        self.warnings: list[Failure] = []

    def report(self) -> ChunkReport:
        """In the order of names, whatever thread was first."""
        return ChunkReport(
            made=tuple(sorted(self.made)),
            skipped=self.skipped,
            failed=tuple(sorted(self.failed, key=lambda f: f.path)),
            warnings=tuple(sorted(self.warnings, key=lambda f: f.path)),
        )


def in_words(error: Exception) -> str:
    """Why a frame failed, for a person."""
    if isinstance(reason := getattr(error, "reason", None), str):
        return reason
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "not enough memory for a picture of this size"
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__
