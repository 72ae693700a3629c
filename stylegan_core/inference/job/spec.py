"""The job file: everything that workers of a stylize job need, which the planner writes and they only read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from stylegan_core.frames.profiles.ocio import PINNED_CONFIG
from stylegan_core.inference.job.delivery import MovieTarget, Signing
from stylegan_core.storage.atomic import write_bytes_atomically

STATE_FOLDER = ".stylereel"
"""Folder in an output folder for job files, records, temporaries and the lock; never part of a DVC output."""

Precision = Literal["fp32", "bf16", "fp16"]
BackEnd = Literal["torch", "compiled", "openvino", "onnxruntime"]

_PLACES = frozenset({"path", "model_folder", "ocio_config"})
"""Where directions and configs lie; their digests decide the pixels."""


class PlanError(ValueError):
    """The call was wrong and nothing was done; the message says what to change."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StyleReference(_Frozen):
    """A picture, or an entry of a style bank, whose style is asked for.

    Attributes:
        path: absolute, of the picture or of the bank's folder.
        sha256: of the picture's bytes, or of the code in the bank.
        weight: share in the mixture; all of a job sum to 1.
        name: in the bank; None is a picture.
    """

    path: Path
    sha256: str
    weight: float
    name: str | None = None


class Conditioning(_Frozen):
    """What directs a model beside the content, see ``Conditions``.

    Attributes:
        styles: references, their weights summing to 1.
        edit: wanted change of each attribute that changes, in [-1, 1].
        direction: "forward" is content to style.
    """

    styles: tuple[StyleReference, ...] = ()
    edit: dict[str, float] = {}
    direction: Literal["forward", "backward"] = "forward"


class Region(_Frozen):
    """A part of the frames with a model, directions or a picture of its own.

    Attributes:
        value: of a label map, one number or red, green and blue; None: the files are masks, white is inside.
        model_folder: of its model; None is the job's.
        model_digest: of its model; None is the job's.
        precision: of its model.
        directions: of its model.
        strength: as the job's.
        shows_picture: whether a picture replaces the region instead.
        feather_px: standard deviation of the Gaussian that softens its edge.
        missing_mask: what a frame without a mask means.
    """

    value: int | tuple[int, int, int] | None = None
    model_folder: Path | None = None
    model_digest: str | None = None
    precision: Precision = "fp32"
    directions: Conditioning = Conditioning()
    strength: float = Field(1.0, ge=0.0, le=2.0)
    shows_picture: bool = False
    feather_px: float = Field(0.0, ge=0.0)
    missing_mask: Literal["error", "everywhere", "nowhere"] = "error"


_LATER_SETTINGS = (
    *("directions", "regions", "elsewhere", "output_space", "ocio", "ocio_config", "tiles"),
    *("blend_frames", "blend_weight", "keep_source_colour", "signed_by"),
)


class FrameSettings(_Frozen):
    """What decides a frame's pixels beside the frame and the model: the part of a job that the skip key covers.

    Attributes:
        strength: how much of the network's change is applied; 0 gives the source back exactly.
        precision: of the convolutions.
        back_end: what runs the network.
        source_space: encoding of the sources; "auto" goes by what each file says, else by its sample type.
        output_space: encoding of the outputs; "source" is that of each source.
        working_space: the model's.
        ocio: digest of the OpenColorIO config, where a space needs one.
        ocio_config: where that config is; None is the built-in.
        tiles: whether a network that has no exact tiles may be tiled.
        blend_frames: neighbours to each side that a frame is steadied with.
        blend_weight: how much of them.
        keep_source_colour: whether only lightness changes.
        signed_by: SHA-256 of the certificate that signs the files; None signs none.
        revision: raised when the same settings begin to give other pixels.
        directions: of the job's model.
        regions: parts of the frames that are made otherwise.
        elsewhere: what is outside of all regions: the source, or what the job's model makes of it.
    """

    strength: float = Field(1.0, ge=0.0, le=2.0)
    precision: Precision = "fp32"
    back_end: BackEnd = "torch"
    source_space: str = "auto"
    output_space: str = "source"
    working_space: str = "srgb"
    ocio: str | None = None
    ocio_config: str | None = None
    tiles: Literal["exact", "approximate"] = "exact"
    blend_frames: int = Field(0, ge=0)
    blend_weight: float = Field(0.0, ge=0.0, le=1.0)
    keep_source_colour: bool = False
    signed_by: str | None = None
    revision: int = 2
    directions: Conditioning = Conditioning()
    regions: tuple[Region, ...] = ()
    elsewhere: Literal["source", "style"] = "source"

    @property
    def colour_config(self) -> str:
        """The OpenColorIO config of the job, whatever a worker's own is."""
        return self.ocio_config or PINNED_CONFIG

    def digest(self) -> str:
        """SHA-256 of the settings, wherever the references and models in them lie."""
        return _digest(_without_places(self.model_dump(mode="json")))

    @model_serializer(mode="wrap")
    def _without_what_is_not_asked(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A job that does not ask for a thing has the digest that it had before there was such a thing."""
        return _without_defaults(self, dump(self), _LATER_SETTINGS)


class RegionFiles(_Frozen):
    """A region's files for one frame.

    Attributes:
        where: absolute path of the mask or label map; None if there is none.
        picture: absolute path of the picture that replaces the region; None if there is none.
    """

    where: Path | None = None
    picture: Path | None = None


class Neighbour(_Frozen):
    """A frame beside another, of the same shot.

    Attributes:
        offset: how many frames later; earlier ones are negative.
        input: as ``JobFrame.input``.
        index: as ``JobFrame.index``.
    """

    offset: int
    input: str
    index: int | None = None


class JobFrame(_Frozen):
    """One frame to make.

    Attributes:
        input: path below the job's input folder (or absolute), with forward slashes; the movie of a movie's frame.
        output: path below its output folder.
        mask: absolute path of a mask, or None.
        regions: files of each region of the job, in their order.
        number: of the frame in its sequence; None has none. A held frame has that of the frame that it repeats.
        index: of a movie's frame, from 0; None is a picture file.
        missing: how a frame that is not there is made of ``input``, its neighbour; None is there.
        strength: of this frame; None is the job's.
        style_weights: of this frame's references, in the order of the job's; None are the job's.
        shot: counts the cuts before it.
        statistics: first 16 digits of the digest of its shot's frozen statistics; None: the picture has its own.
        window: frames that it is steadied with.
    """

    input: str
    output: str
    mask: str | None = None
    regions: tuple[RegionFiles, ...] = ()
    number: int | None = None
    index: int | None = None
    missing: Literal["hold", "black"] | None = None
    strength: float | None = None
    style_weights: tuple[float, ...] | None = None
    shot: int = 0
    statistics: str | None = None
    window: tuple[Neighbour, ...] = ()

    @property
    def auxiliary_files(self) -> tuple[Path | None, ...]:
        """Files that it is made with beside its input and mask: two a region, in order."""
        return tuple(path for files in self.regions for path in (files.where, files.picture))

    @model_serializer(mode="wrap")
    def _without_what_is_not_asked(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_defaults(self, dump(self), ("regions", "number", *_OWN_SETTINGS, "shot"))


_OWN_SETTINGS = ("index", "missing", "strength", "style_weights", "statistics", "window")
"""What decides a frame's pixels beside its files and the job's settings."""


class Job(_Frozen):
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
    chunk_frames: int = Field(64, ge=1)
    max_megapixels: float = Field(200.0, gt=0)
    settings: FrameSettings
    provenance: dict[str, str] = {}
    signing: Signing | None = None
    movie: MovieTarget | None = None
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

    def settings_digest(self) -> Callable[[JobFrame], str]:
        """Gives SHA-256 of what decides a frame's pixels beside its files and the model."""
        common = self.settings.digest()

        def of(frame: JobFrame) -> str:
            own = frame.model_dump(mode="json", include=set(_OWN_SETTINGS))
            return common if not own else _digest({"settings": common, **own})

        return of

    def statistics_path(self, frame: JobFrame) -> Path | None:
        """Where the frozen statistics of a frame's shot are kept; None if it has none."""
        return self.state_folder / statistics_file(frame.statistics) if frame.statistics else None

    def input_path(self, frame: JobFrame) -> Path:
        """Where ``frame`` is read."""
        return self.input_folder / frame.input

    def auxiliary_files(self, frame: JobFrame) -> tuple[Path | None, ...]:
        """Files that a frame is made with beside its input and mask: of its regions, and of its window."""
        window = (self.input_folder / other.input for other in frame.window if other.input != frame.input)
        return (*frame.auxiliary_files, *window)

    def output_path(self, frame: JobFrame) -> Path:
        """Where ``frame`` is written."""
        return self.output_folder / frame.output

    @model_serializer(mode="wrap")
    def _without_what_is_not_asked(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_defaults(self, dump(self), ("provenance", "signing", "movie"))


def statistics_file(name: str) -> str:
    """The file in the state folder that holds the statistics of this name, see ``JobFrame.statistics``."""
    return f"statistics-{name}.safetensors"


def write_job(job: Job) -> Path:
    """Writes the job file below the output folder, if it is not there yet; returns its path."""
    if not job.file.exists():
        write_bytes_atomically(job.file, _canonical(job.model_dump(mode="json")))
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


def _without_defaults(model: BaseModel, dumped: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    fields = type(model).model_fields
    plain = {name for name in names if getattr(model, name) == fields[name].default}
    return {name: value for name, value in dumped.items() if name not in plain}


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_places(entry) for key, entry in value.items() if key not in _PLACES}
    return [_without_places(entry) for entry in value] if isinstance(value, list) else value


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _digest(value: Any) -> str:
    return hashlib.sha256(_canonical(value)).hexdigest()
