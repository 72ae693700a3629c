"""The section ``stylize`` of params.yaml, whose settings are also options of the command line.

Each field of ``RenderSettings`` is ``stylize.<name>`` there and ``--<name>`` of ``stylereel stylize`` and ``plan``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, model_validator

from stylegan_core.choices import Direction, MissingMask, OutsideRegions
from stylegan_core.settings import Settings

FRAMES_PER_S = 24.0
"""Default frame rate of movies that are made of pictures, and of previews."""


class RenderSettings(Settings):
    """Settings of any job, independent of its frames."""

    strength: float = Field(1.0, ge=0.0, le=2.0, description="factor of the change; 0 returns the source exactly")
    curve: Path | None = Field(
        None, description="CSV file of strength and weights of references by frame: frame,strength,NAME,..."
    )
    keep_source_colour: bool = Field(False, description="change lightness only, keep the source's colours")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="auto: bf16 if the hardware computes it fast, else fp32"
    )
    back_end: Literal["auto", "torch", "compiled", "openvino", "onnxruntime"] = Field(
        "auto", description="inference back end; auto measures once which is fastest on this machine"
    )
    provenance: bool = Field(True, description="write model, run and data into the metadata of each file")
    c2pa_certificate: Path | None = Field(None, description="certificates in PEM, to sign the files (C2PA)")
    c2pa_key: Path | None = Field(None, description="private key of the certificate, in PEM")
    output_space: str = Field("source", description="colour space of the results; source: that of each source, exactly")
    ocio: str | None = Field(None, description="OpenColorIO config; null: $OCIO, else a built-in ACES config")
    cuts: str = Field(
        "auto",
        description="where shots begin; auto: detect cuts, none: one shot, else an EDL (x.edl@25), OTIO or CSV file",
    )
    blend_frames: int = Field(
        0, ge=0, le=8, description="neighbours on each side to blend along the optical flow; 0: off"
    )
    blend_weight: float = Field(1.0, ge=0.0, le=1.0, description="weight of a neighbour; that of the frame itself is 1")
    filter_frames: int | None = Field(
        None,
        ge=0,
        le=4,
        description="neighbours on each side that a frame and its guide are averaged with along the optical flow, "
        "before the network; null: 1 with key frames, else 0",
    )
    key_frames: Path | None = Field(
        None,
        description="folder or pattern of painted key frames, matched by number, that guide models trained with guide; "
        "default: those of the project's shot",
    )
    key_frames_space: str = Field("auto", description="colour space of the painted key frames")
    key_masks: Path | None = Field(
        None, description="masks that mark the painted part of key frames, by number; default: their alpha, else all"
    )
    tiles: Literal["exact", "approximate"] = Field(
        "exact", description="approximate: also tile frames for networks that depend on the whole frame"
    )
    statistics: str = Field(
        "auto",
        description="statistics of instance norm; shot: measured once a shot, picture: in every frame, "
        "auto: shot for numbered frames and movies, else picture; or a file of an earlier run",
    )
    statistics_frames: int | None = Field(
        None, ge=1, description="frames of a shot to measure; default: up to 5, fewer large ones"
    )

    def named_files(self) -> list[Path]:
        """Files that the settings name; words such as "auto" are not files."""
        words = {"auto", "none", "shot", "picture"}
        named = [None if self.cuts in words else self.cuts.rpartition("@")[0] or self.cuts]
        named += [None if self.statistics in words else self.statistics]
        named += [None if self.ocio is None or "://" in self.ocio else self.ocio]
        own = [path for path in (self.curve, self.key_frames, self.key_masks) if path is not None]
        return [*own, *(Path(name) for name in named if name is not None)]


class RegionSettings(Settings):
    """One entry of ``stylize.regions``: its area, and the model or picture inside."""

    where: Path | None = Field(None, description="a mask or a folder of masks: white is inside")
    labels: Path | None = Field(None, description="a label map or a folder of label maps, instead of masks")
    value: int | tuple[int, int, int] | None = Field(None, description="value of the region in the label maps")
    model: str | None = Field(None, description="a model folder or its name; default: the job's")
    style_images: tuple[str, ...] = ()
    edit: str | None = None
    direction: Direction = "forward"
    picture: Path | None = Field(
        None, description="a picture, or a folder of pictures, that replaces the region, instead of a model"
    )
    strength: float | None = Field(None, ge=0.0, le=2.0, description="default: the job's")
    feather_px: float = Field(0.0, ge=0.0, le=500.0, description="standard deviation of the soft edge")
    missing_mask: MissingMask = "error"

    @model_validator(mode="after")
    def _parts_fit(self) -> RegionSettings:
        if (self.where is None) == (self.labels is None):
            raise ValueError("a region requires either where (masks) or labels (label maps)")
        if (self.labels is None) != (self.value is None):
            raise ValueError("labels and value require each other: value is that of the region in the label maps")
        if self.picture and (self.model or self.style_images or self.edit or self.direction != "forward"):
            raise ValueError("a region takes either a picture or a model, not both")
        return self

    def files(self) -> list[Path]:
        """Files that the region names, apart from models; style images without their weights."""
        named = [path for path in (self.where, self.labels, self.picture) if path is not None]
        return named + [style_image_path(text) for text in self.style_images]


class StylizeSettings(RenderSettings):
    """Section ``stylize``."""

    input: Path | None = Field(
        None, description="directory, pattern or movie; default: every shot, or the test pictures"
    )
    style_images: tuple[str, ...] = Field(
        (), description='references, for recipes that accept them, with weights after a colon: ["a.png:0.3", "b.png"]'
    )
    style_bank: Path | None = Field(None, description="precomputed references; style_images then name its entries")
    edit: str | None = Field(
        None, description="changes of attributes, for recipes that accept them: smiling, no glasses; or smiling=0.5"
    )
    direction: Direction = Field("forward", description="translation direction, for recipes with two directions")
    regions: tuple[RegionSettings, ...] = Field(
        (), description="parts of the frames with other settings: docs/stylize.md"
    )
    outside_regions: OutsideRegions = Field(
        "source",
        validation_alias=AliasChoices("elsewhere", "outside_regions"),
        serialization_alias="elsewhere",
        description="result outside of all regions; source: unchanged, style: the job's model",
    )
    chunk_frames: int = Field(64, ge=1, description="frames of one task")
    preview_fps: float = Field(FRAMES_PER_S, gt=0, description="frame rate of the preview movie, per second")
    max_bad_fraction: float = Field(
        0.05, ge=0.0, le=1.0, description="fraction of failed frames above which the stage fails; all are listed"
    )


def style_image_path(text: str) -> Path:
    """The file that an entry of ``style_images`` names, without its weight."""
    name, colon, weight = text.rpartition(":")
    try:
        float(weight)
    except ValueError:
        return Path(text)
    return Path(name) if colon else Path(text)
