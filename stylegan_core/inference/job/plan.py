"""Plan: a job with its artifacts, files that planning computes and workers only read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from stylegan_core.inference.job.spec import Job, write_job
from stylegan_core.storage.atomic import write_bytes_atomically


@dataclass(frozen=True)
class Plan:
    """Result of planning; nothing of it is on disk before ``write_plan``.

    Attributes:
        job: for the workers.
        artifacts: file contents by their names in ``job.state_folder``: statistics, which workers need, and detected
            cuts, which save the next run from decoding the frames again. Empty for a job that was read from its file.
    """

    job: Job
    artifacts: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Draft(Plan):
    """A plan that the planner's steps complete.

    Attributes:
        state_folders: folders of artifacts of earlier runs, in order of preference; they are only read.
    """

    state_folders: tuple[Path, ...] = ()

    def with_job(self, job: Job) -> Self:
        """The same draft with another job."""
        return replace(self, job=job)

    def with_artifact(self, name: str, content: bytes) -> Self:
        """The same draft with an artifact added or replaced."""
        return replace(self, artifacts={**self.artifacts, name: content})

    def earlier_artifacts(self, pattern: str) -> Iterator[Path]:
        """Artifacts of earlier runs whose names match ``pattern``, by folder, then by name."""
        for folder in self.state_folders:
            yield from sorted(folder.glob(pattern))


def write_plan(plan: Plan) -> Path:
    """Writes the artifacts, then the job file, each atomically; existing files stay.

    Returns:
        The path of the job file.

    Raises:
        OSError: the output folder cannot be written.
    """
    for name, content in plan.artifacts.items():
        path = plan.job.state_folder / name
        if not path.exists():
            write_bytes_atomically(path, content)
    return write_job(plan.job)
