"""Reports of a job: the outcomes of a chunk's frames, and its progress."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Failure:
    """An input that gave no output.

    Attributes:
        path: the input.
        reason: for the user.
    """

    path: Path
    reason: str


@dataclass(frozen=True)
class ChunkReport:
    """Outcomes of the frames of a chunk.

    Attributes:
        made: outputs that were written.
        skipped: frames that were up to date.
        failed: inputs that gave no output.
        warnings: about inputs that gave an output.
    """

    made: tuple[str, ...]
    skipped: int
    failed: tuple[Failure, ...]
    warnings: tuple[Failure, ...]


@dataclass(frozen=True)
class Progress:
    """Progress of a job.

    Attributes:
        total: frames of the job.
        done: frames made, skipped or failed.
        skipped: of these, up to date before the job began.
        failed: of these, failed.
        frames_per_s: rate at which frames were made since the job began; 0 before the first.
    """

    total: int
    done: int
    skipped: int
    failed: int
    frames_per_s: float


class ChunkTally:
    """Outcomes of a chunk while it is worked on; guarded by the stylizer's lock."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.skipped = 0
        self.failed: list[Failure] = []
        self.warnings: list[Failure] = []

    def report(self) -> ChunkReport:
        """The outcomes so far, sorted by name, independent of the order of threads."""
        return ChunkReport(
            made=tuple(sorted(self.made)),
            skipped=self.skipped,
            failed=tuple(sorted(self.failed, key=lambda f: f.path)),
            warnings=tuple(sorted(self.warnings, key=lambda f: f.path)),
        )


def failure_reason(error: Exception) -> str:
    """The reason for which a frame failed, for the user."""
    if isinstance(reason := getattr(error, "reason", None), str):
        return reason
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "not enough memory for a picture of this size"
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__
