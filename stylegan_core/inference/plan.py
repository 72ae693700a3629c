"""The planner: reads a whole shot before the first frame and writes one job file, which workers only read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from stylegan_core.frames.atomic import write_bytes_atomically
from stylegan_core.frames.colour import WORKING_SPACES
from stylegan_core.frames.records import read_records
from stylegan_core.inference.precision import choose_device, choose_precision
from stylegan_core.recipes.base import Kind

if TYPE_CHECKING:
    from stylegan_core.recipes.model import Model

STATE_FOLDER = ".stylereel"
"""Folder in an output folder for job files, records, temporaries and the lock; never part of a DVC output."""


class PlanError(ValueError):
    """The call was wrong and nothing was done; the message says what to change."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FrameSettings(_Frozen):
    """What decides a frame's pixels beside the frame and the model: the part of a job that the skip key covers.

    Attributes:
        strength: how much of the network's change is applied; 0 gives the source back exactly.
        precision: of the convolutions.
        back_end: what runs the network.
        source_space: encoding of the sources; "auto" goes by their ICC profile and sample type.
        working_space: the model's.
        revision: raised when the same settings begin to give other pixels.
    """

    strength: float = Field(1.0, ge=0.0, le=2.0)
    precision: Literal["fp32", "bf16"] = "fp32"
    back_end: Literal["torch"] = "torch"
    source_space: str = "auto"
    working_space: str = "srgb"
    revision: int = 1

    def digest(self) -> str:
        """SHA-256 of the settings."""
        return _digest(self.model_dump(mode="json"))


class JobFrame(_Frozen):
    """One frame to make.

    Attributes:
        input: path below the job's input folder (or absolute), with forward slashes.
        output: path below its output folder.
        mask: absolute path of a mask, or None.
    """

    input: str
    output: str
    mask: str | None = None


class Job(_Frozen):
    """Everything that workers need; equal jobs have equal digests, whenever and wherever they were planned."""

    version: Literal[1] = 1
    input_folder: Path
    output_folder: Path
    model_folder: Path
    model_digest: str
    device: str = "cpu"
    chunk_frames: int = Field(64, ge=1)
    max_megapixels: float = Field(200.0, gt=0)
    settings: FrameSettings
    frames: tuple[JobFrame, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the whole job."""
        return _digest(self.model_dump(mode="json"))

    @property
    def file(self) -> Path:
        """Where the job is kept."""
        return self.state_folder / f"job-{self.digest[:16]}.json"

    @property
    def state_folder(self) -> Path:
        """Records, temporaries and the lock of the output folder."""
        return self.output_folder / STATE_FOLDER

    def chunks(self) -> list[tuple[JobFrame, ...]]:
        """The frames in runs of ``chunk_frames``."""
        return [self.frames[at : at + self.chunk_frames] for at in range(0, len(self.frames), self.chunk_frames)]

    def input_path(self, frame: JobFrame) -> Path:
        """Where ``frame`` is read."""
        return self.input_folder / frame.input

    def output_path(self, frame: JobFrame) -> Path:
        """Where ``frame`` is written."""
        return self.output_folder / frame.output


def plan_job(
    frames: Sequence[JobFrame],
    *,
    input_folder: Path,
    output_folder: Path,
    model: Model,
    strength: float = 1.0,
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    source_space: str = "auto",
    chunk_frames: int = 64,
    device: str = "auto",
) -> Job:
    """Settles everything that chunks and machines must agree on.

    Args:
        frames: from ``select_frames``.
        input_folder: what the frames' inputs are relative to.
        output_folder: what their outputs are relative to.
        model: from ``load_model``; its working space becomes the job's.
        strength: in [0, 2].
        precision: "auto" is settled here, see ``choose_precision``.
        source_space: "auto" or one of ``WORKING_SPACES``.
        chunk_frames: frames of one task run.
        device: "auto" or torch's name of one.
    Raises:
        PlanError: the model cannot do this, or a setting is out of range.
    """
    card = model.card
    if model.recipe.kind is not Kind.TRANSLATE:
        raise PlanError(f"{model.folder} holds a {card.recipe} model, which makes pictures from noise alone")
    if model.recipe.scale != 1:
        raise PlanError(f"{model.folder} holds a {card.recipe} model, which changes the size; stylize keeps it")
    if card.working_space not in WORKING_SPACES:
        raise PlanError(
            f"{model.folder} works in {card.working_space!r}; this version converts to {', '.join(WORKING_SPACES)}"
        )
    if source_space not in ("auto", *WORKING_SPACES):
        raise PlanError(f"source space {source_space!r} is none of auto, {', '.join(WORKING_SPACES)}")
    if not 0.0 <= strength <= 2.0:
        raise PlanError(f"strength is {strength}, but goes from 0 (the source) to 2")
    if chunk_frames < 1:
        raise PlanError(f"a chunk has at least one frame, not {chunk_frames}")
    device = choose_device(device)
    return Job(
        input_folder=input_folder.absolute(),
        output_folder=output_folder.absolute(),
        model_folder=model.folder.absolute(),
        model_digest=card.digest,
        device=device,
        chunk_frames=chunk_frames,
        settings=FrameSettings(
            strength=strength,
            precision=choose_precision(model.recipe, precision, device),
            source_space=source_space,
            working_space=card.working_space,
        ),
        frames=tuple(frames),
    )


def write_job(job: Job) -> Path:
    """Writes the job file below the output folder, if it is not there yet; returns its path."""
    if not job.file.exists():
        write_bytes_atomically(job.file, _canonical(job.model_dump(mode="json")))
    return job.file


def refuse_foreign_outputs(job: Job) -> None:
    """Spares files that are there already and that no run made: a user's own, which the job would overwrite.

    A run names its frames in a job file before it makes them, so that what it left without a record, killed between
    rename and record, is known too.

    Raises:
        PlanError: there are such files.
    """
    there = [frame.output for frame in job.frames if job.output_path(frame).is_file()]
    known = {record.get("frame") for record in read_records(job.output_folder)} if there else set()
    if set(there) <= known:
        return
    for path in job.state_folder.glob("job-*.json"):
        try:
            known |= {frame.output for frame in read_job(path).frames}
        except (PlanError, OSError):
            continue
    if foreign := [name for name in there if name not in known]:
        raise PlanError(
            f"{job.output_folder} holds {len(foreign)} files of these names that stylereel did not make, such as "
            f"{', '.join(foreign[:3])}: choose another folder, or pass --overwrite"
        )


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


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _digest(value: Any) -> str:
    return hashlib.sha256(_canonical(value)).hexdigest()
