"""Frame settings: the part of a job that decides the pixels of all frames and that the skip key covers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SerializerFunctionWrapHandler, model_serializer

from stylegan_core.choices import Direction, MissingMask, OutsideRegions
from stylegan_core.frames.colour.context import ColourContext
from stylegan_core.frames.profiles.ocio import PINNED_CONFIG
from stylegan_core.inference.job.canonical import FrozenModel, digest_of, without_defaults

Precision = Literal["fp32", "bf16", "fp16"]
BackEnd = Literal["torch", "compiled", "openvino", "onnxruntime"]

_PATHS = frozenset({"path", "model_folder", "ocio_config", "flow_file", "mask_path"})
"""Fields that are paths; the digests next to them decide the pixels."""


class StyleReference(FrozenModel):
    """A style reference: a picture, or an entry of a style bank.

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


class Conditioning(FrozenModel):
    """What a model is conditioned on apart from the content; applied as ``Conditions``.

    Attributes:
        styles: references, their weights summing to 1.
        edit: change of each edited attribute, in [-1, 1].
        direction: "forward" is content to style.
    """

    styles: tuple[StyleReference, ...] = ()
    edit: dict[str, float] = Field({})
    direction: Direction = "forward"


class Region(FrozenModel):
    """A part of the frames with a model, conditioning or a picture of its own.

    Attributes:
        value: of a label map, one number or red, green and blue; None: the files are masks, white is inside.
        model_folder: of its model; None is the job's.
        model_digest: of its model; None is the job's.
        precision: of its model.
        directions: conditioning of its model.
        strength: as the job's.
        shows_picture: whether a picture replaces the region instead.
        feather_px: standard deviation of the Gaussian that softens its edge.
        missing_mask: whether a frame without a mask is an error, all inside, or all outside.
    """

    value: int | tuple[int, int, int] | None = None
    model_folder: Path | None = None
    model_digest: str | None = None
    precision: Precision = "fp32"
    directions: Conditioning = Conditioning()
    strength: float = Field(1.0, ge=0.0, le=2.0)
    shows_picture: bool = False
    feather_px: float = Field(0.0, ge=0.0)
    missing_mask: MissingMask = "error"


_LATER_FIELDS = (
    *("directions", "regions", "outside_regions", "output_space", "ocio", "ocio_config", "tiles"),
    *("blend_frames", "blend_weight", "filter_frames", "keep_source_colour", "signed_by", "key_frames_space"),
)


class FrameSettings(FrozenModel):
    """Settings that decide the pixels of all frames, together with the model and the frames themselves.

    The defaults are part of the file format: fields that were added later are left out of digests while they have them.

    Attributes:
        strength: how much of the network's change is applied; 0 gives the source back exactly.
        precision: of the convolutions.
        back_end: that runs the network.
        source_space: encoding of the sources; "auto": from each file's metadata, else by its sample type.
        key_frames_space: encoding of painted key frames, as ``source_space``.
        output_space: encoding of the outputs; "source" is that of each source.
        working_space: the model's.
        ocio: digest of the OpenColorIO config, where a space needs one.
        ocio_config: path or name of that config; None is the built-in.
        tiles: whether a network that has no exact tiles may be tiled.
        blend_frames: neighbours to each side for temporal smoothing.
        blend_weight: their weight; the frame itself has weight 1.
        filter_frames: neighbours to each side that a frame and its guide are averaged with before the network.
        keep_source_colour: whether only lightness changes.
        signed_by: SHA-256 of the certificate that signs the files; None signs none.
        revision: increased when a release gives other pixels for the same settings.
        directions: conditioning of the job's model.
        regions: parts of the frames with their own settings.
        outside_regions: what is outside of all regions: the source, or what the job's model makes of it; ``elsewhere``
            in the file.
    """

    strength: float = Field(1.0, ge=0.0, le=2.0)
    precision: Precision = "fp32"
    back_end: BackEnd = "torch"
    source_space: str = "auto"
    key_frames_space: str = "auto"
    output_space: str = "source"
    working_space: str = "srgb"
    ocio: str | None = None
    ocio_config: str | None = None
    tiles: Literal["exact", "approximate"] = "exact"
    blend_frames: int = Field(0, ge=0)
    blend_weight: float = Field(0.0, ge=0.0, le=1.0)
    filter_frames: int = Field(0, ge=0)
    keep_source_colour: bool = False
    signed_by: str | None = None
    revision: int = 2
    directions: Conditioning = Conditioning()
    regions: tuple[Region, ...] = ()
    outside_regions: OutsideRegions = Field("source", validation_alias=AliasChoices("elsewhere", "outside_regions"))

    @property
    def window_frames(self) -> int:
        """Neighbours to each side that a frame needs: to blend them, and to filter those that it is blended with."""
        return self.blend_frames + self.filter_frames

    @property
    def colour_config(self) -> str:
        """Name of the job's OpenColorIO config, independent of the worker's environment."""
        return self.ocio_config or PINNED_CONFIG

    @property
    def colour(self) -> ColourContext:
        """The working space and the config of the job."""
        return ColourContext(self.working_space, self.colour_config)

    def digest(self) -> str:
        """SHA-256 of the settings; paths of references and models are left out."""
        return digest_of(without_paths(self.model_dump(mode="json")))

    @model_serializer(mode="wrap")
    def _without_unset_fields(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Jobs that do not use a later field keep the digest that they had before the field existed."""
        dumped = without_defaults(self, dump(self), _LATER_FIELDS)
        return {"elsewhere" if name == "outside_regions" else name: value for name, value in dumped.items()}


def without_paths(value: Any) -> Any:
    """A part of a job as it is in digests: without paths, whose contents have digests of their own."""
    if isinstance(value, dict):
        return {key: without_paths(entry) for key, entry in value.items() if key not in _PATHS}
    return [without_paths(entry) for entry in value] if isinstance(value, list) else value
