"""The result of a stylize job: what was made, skipped and failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stylegan_core.inference.job.report import Failure, Progress
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.job.summary import summarize
from tasks.shared.errors import InputsFailedError

ProgressCallback = Callable[[Progress], None]
"""Called after every frame, from any thread."""


@dataclass(frozen=True)
class StylizeReport:
    """The result of a job.

    Attributes:
        job: the job.
        made: number of outputs that were written.
        skipped: number of frames that were done before.
        failed: inputs without an output, each with its reason.
        warnings: of inputs that have an output.
        seconds: of work, without planning.
        threads: of the networks on the CPU, in this process.
        preview: the movie, or None.
    """

    job: Job
    made: int
    skipped: int
    failed: tuple[Failure, ...]
    warnings: tuple[Failure, ...]
    seconds: float
    threads: int
    preview: Path | None = None

    @property
    def exit_code(self) -> int:
        """0 if all inputs are done, 1 if some failed."""
        return 1 if self.failed else 0

    def failures(self) -> str:
        """Failed inputs and their reasons, one per line."""
        return "\n".join(f"{failure.path}: {failure.reason}" for failure in self.failed)

    def raise_if_failed(self) -> None:
        """Raises an error if an input failed.

        Raises:
            InputsFailedError: names every failed input.
        """
        if self.failed:
            total = len(self.job.frames)
            raise InputsFailedError(
                f"{len(self.failed)} of {total} inputs failed, all others are done:\n{self.failures()}"
            )

    def as_dict(self) -> dict[str, object]:
        """Plain values, for JSON."""
        return {
            "output": str(self.job.output_folder),
            "model": self.job.model_digest,
            "job": self.job.digest,
            "precision": self.job.settings.precision,
            "asked": summarize(self.job),
            "frames": len(self.job.frames),
            "made": self.made,
            "skipped": self.skipped,
            "failed": [{"path": str(f.path), "reason": f.reason} for f in self.failed],
            "warnings": [{"path": str(f.path), "warning": f.reason} for f in self.warnings],
            "seconds": round(self.seconds, 3),
            "threads": self.threads,
            "preview": str(self.preview) if self.preview else None,
        }
