"""The job file: everything that the workers of a job need; the planner writes it, workers only read it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from stylegan_core.inference.job.canonical import FrozenModel, canonical_json, digest_of, without_defaults
from stylegan_core.inference.job.delivery import MovieTarget, Signing
from stylegan_core.inference.job.frame_settings import FrameSettings, without_paths
from stylegan_core.inference.job.frame_task import FRAME_OVERRIDES, FrameTask
from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.state_folder import STATE_FOLDER


class PlanError(ValueError):
    """A request that cannot be planned, or a job that cannot be run; the message says what to change."""


class Job(FrozenModel):
    """Everything that workers need; equal jobs have equal digests, whenever and wherever they were planned.

    Attributes:
        version: of the format.
        input_folder: absolute; inputs are relative to it.
        output_folder: absolute; outputs are relative to it.
        model_folder: absolute.
        model_digest: of the model in it.
        device: torch's name of the device.
        chunk_frames: frames of one chunk.
        max_megapixels: inputs that declare more are refused.
        settings: that decide the pixels of all frames.
        provenance: metadata that every output file gets; empty: none.
        signing: the certificate that signs the outputs; None: they are not signed.
        movie: that the outputs are assembled to; None: they stay pictures.
        frames: to make, in order.
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
        """Path of the job file, named by the digest."""
        return self.state_folder / f"job-{self.digest[:16]}.json"

    @property
    def state_folder(self) -> Path:
        """Folder of job files, records, temporaries and the lock, in the output folder."""
        return self.output_folder / STATE_FOLDER

    def chunks(self) -> list[tuple[FrameTask, ...]]:
        """The frames in chunks of ``chunk_frames``; the last may be shorter."""
        return [self.frames[at : at + self.chunk_frames] for at in range(0, len(self.frames), self.chunk_frames)]

    def settings_digest(self) -> Callable[[FrameTask], str]:
        """A function from a frame to the SHA-256 of what decides its pixels apart from its files and the model."""
        common = self.settings.digest()

        def digest_of_frame(frame: FrameTask) -> str:
            overrides = frame.model_dump(mode="json", include=set(FRAME_OVERRIDES))
            return digest_of({"settings": common, **without_paths(overrides)}) if overrides else common

        return digest_of_frame

    def statistics_path(self, frame: FrameTask) -> Path | None:
        """Path of the frozen statistics of a frame's shot; None if it has none."""
        return self.state_folder / statistics_file(frame.statistics) if frame.statistics else None

    def input_path(self, frame: FrameTask) -> Path:
        """Path of the frame's input."""
        return self.input_folder / frame.input

    def auxiliary_files(self, frame: FrameTask) -> tuple[Path | None, ...]:
        """Files that a frame depends on apart from its input and mask: of its regions, its window and its guides."""
        window = (self.input_folder / other.input for other in frame.window if other.input != frame.input)
        return (*frame.auxiliary_files, *window, *self.guide_files(frame))

    def guide_files(self, frame: FrameTask) -> tuple[Path, ...]:
        """Paintings, their masks, and plates of the key frames that guide a frame and its window, each once."""
        guides = [*frame.guides, *(guide for other in frame.window for guide in other.guides)]
        files = [path for guide in guides for path in (guide.path, guide.mask_path, self.input_folder / guide.input)]
        own = self.input_folder / frame.input
        return tuple(path for path in dict.fromkeys(files) if path is not None and path != own)

    def output_path(self, frame: FrameTask) -> Path:
        """Path of the frame's output."""
        return self.output_folder / frame.output

    @model_serializer(mode="wrap")
    def _without_unset_fields(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_defaults(self, dump(self), ("provenance", "signing", "movie"))


def statistics_file(name: str) -> str:
    """The file in the state folder that holds the statistics of this name, see ``FrameTask.statistics``."""
    return f"statistics-{name}.safetensors"


def write_job(job: Job) -> Path:
    """Writes the job file below the output folder unless it exists; returns its path."""
    if not job.file.exists():
        write_bytes_atomically(job.file, canonical_json(job.model_dump(mode="json")))
    return job.file


def read_job(path: Path) -> Job:
    """Reads and checks a job file.

    Raises:
        PlanError: the file is missing, is not a job, or was changed since it was written.
    """
    try:
        job = Job.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise PlanError(f"{path} does not exist: `stylereel plan` writes job files") from error
    except ValueError as error:
        raise PlanError(f"{path} is not a job file: {error}") from error
    if path.name != job.file.name:
        raise PlanError(f"{path} was changed after it was planned: its digest is {job.digest[:16]}")
    return job
