"""The job file: everything that workers of a stylize job need, which the planner writes and they only read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from stylegan_core.inference.job.canonical import FrozenModel, canonical_json, digest_of, without_defaults
from stylegan_core.inference.job.delivery import MovieTarget, Signing
from stylegan_core.inference.job.frame_settings import FrameSettings
from stylegan_core.inference.job.frame_task import FRAME_OVERRIDES, FrameTask
from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.state_folder import STATE_FOLDER

"""Folder in an output folder for job files, records, temporaries and the lock; never part of a DVC output."""


class PlanError(ValueError):
    """The call was wrong and nothing was done; the message says what to change."""


class Job(FrozenModel):
    """Everything that workers need; equal jobs have equal digests, whenever and wherever they were planned.

    Attributes:
        provenance: what each file says of its making; nothing is said if it is empty.
        signing: who signs the files; None is nobody.
        movie: what is put together of the outputs; None is nothing.
    """

    version: Literal[1] = 1
    input_folder: Path
    output_folder: Path
    model_folder: Path
    model_digest: str
    device: str = "cpu"
    chunk_frames: int = Field(ge=1)
    max_megapixels: float = Field(200.0, gt=0)
    settings: FrameSettings
    provenance: dict[str, str] = Field({})
    signing: Signing | None = None
    movie: MovieTarget | None = None
    frames: tuple[FrameTask, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the whole job."""
        return digest_of(self.model_dump(mode="json"))

    @property
    def file(self) -> Path:
        """Where the job is kept."""
        return self.state_folder / f"job-{self.digest[:16]}.json"

    @property
    def state_folder(self) -> Path:
        """Records, temporaries and the lock of the output folder."""
        return self.output_folder / STATE_FOLDER

    def chunks(self) -> list[tuple[FrameTask, ...]]:
        """The frames in runs of ``chunk_frames``."""
        return [self.frames[at : at + self.chunk_frames] for at in range(0, len(self.frames), self.chunk_frames)]

    def settings_digest(self) -> Callable[[FrameTask], str]:
        """Gives SHA-256 of what decides a frame's pixels beside its files and the model."""
        common = self.settings.digest()

        def of(frame: FrameTask) -> str:
            own = frame.model_dump(mode="json", include=set(FRAME_OVERRIDES))
            return common if not own else digest_of({"settings": common, **own})

        return of

    def statistics_path(self, frame: FrameTask) -> Path | None:
        """Where the frozen statistics of a frame's shot are kept; None if it has none."""
        return self.state_folder / statistics_file(frame.statistics) if frame.statistics else None

    def input_path(self, frame: FrameTask) -> Path:
        """Where ``frame`` is read."""
        return self.input_folder / frame.input

    def auxiliary_files(self, frame: FrameTask) -> tuple[Path | None, ...]:
        """Files that a frame is made with beside its input and mask: of its regions, and of its window."""
        window = (self.input_folder / other.input for other in frame.window if other.input != frame.input)
        return (*frame.auxiliary_files, *window)

    def output_path(self, frame: FrameTask) -> Path:
        """Where ``frame`` is written."""
        return self.output_folder / frame.output

    @model_serializer(mode="wrap")
    def _without_unset_fields(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_defaults(self, dump(self), ("provenance", "signing", "movie"))


def statistics_file(name: str) -> str:
    """The file in the state folder that holds the statistics of this name, see ``FrameTask.statistics``."""
    return f"statistics-{name}.safetensors"


def write_job(job: Job) -> Path:
    """Writes the job file below the output folder, if it is not there yet; returns its path."""
    if not job.file.exists():
        write_bytes_atomically(job.file, canonical_json(job.model_dump(mode="json")))
    return job.file


def read_job(path: Path) -> Job:
    """Reads and checks a job file.

    Raises:
        PlanError: the file is missing, is no job, or was changed since it was written.
    """
    try:
        job = Job.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise PlanError(f"{path} does not exist: `stylereel plan` writes job files") from error
    except ValueError as error:
        raise PlanError(f"{path} is no job file: {error}") from error
    if path.name != job.file.name:
        raise PlanError(f"{path} was changed after it was planned: its digest is {job.digest[:16]}")
    return job
