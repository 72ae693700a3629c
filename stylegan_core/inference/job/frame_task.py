"""One frame to make: its files, its number and the settings that it overrides."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import SerializerFunctionWrapHandler, model_serializer

from stylegan_core.inference.job.canonical import FrozenModel, without_defaults

FRAME_OVERRIDES = ("index", "missing", "strength", "style_weights", "statistics", "window", "guides")
"""Fields that decide a frame's pixels apart from its files and the job's settings; they are part of its skip key."""


class RegionFiles(FrozenModel):
    """A region's files for one frame.

    Attributes:
        where: absolute path of the mask or label map; None if there is none.
        picture: absolute path of the picture that replaces the region; None if there is none.
    """

    where: Path | None = None
    picture: Path | None = None


class GuideKey(FrozenModel):
    """A painted key frame that guides a frame.

    Attributes:
        number: of the key frame.
        path: absolute path of the painting; its content decides the pixels, not its place.
        mask_path: absolute path of the mask that marks its painted part; None: its alpha, else all of it.
        input: of the key frame, as ``FrameTask.input``.
        index: of the key frame, as ``FrameTask.index``.
        distance: frames between both; 0: it is the frame itself.
        flow: first 16 digits of the digest of the coarse flow between both; None: the frame itself.
        flow_file: name of the file in the state folder that holds the flow.
    """

    number: int
    path: Path
    mask_path: Path | None = None
    input: str
    index: int | None = None
    distance: int = 0
    flow: str | None = None
    flow_file: str | None = None


class Neighbour(FrozenModel):
    """A neighbouring frame of the same shot.

    Attributes:
        offset: in frames; negative is earlier.
        input: as ``FrameTask.input``.
        index: as ``FrameTask.index``.
        guides: as ``FrameTask.guides``.
    """

    offset: int
    input: str
    index: int | None = None
    guides: tuple[GuideKey, ...] = ()

    @model_serializer(mode="wrap")
    def _without_unset_fields(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_defaults(self, dump(self), ("guides",))


class FrameTask(FrozenModel):
    """One frame to make.

    Attributes:
        input: path below the job's input folder (or absolute), with forward slashes; the movie of a movie's frame.
        output: path below its output folder.
        mask: absolute path of a mask, or None.
        regions: files of each region of the job, in their order.
        number: of the frame in its sequence; None has none. A held frame has that of the frame that it repeats.
        index: of a movie's frame, from 0; None is a picture file.
        missing: how a missing frame is made of ``input``, its neighbour; None: the frame exists.
        strength: of this frame; None is the job's.
        style_weights: of this frame's references, in the order of the job's; None are the job's.
        shot: number of cuts before the frame.
        statistics: first 16 digits of the digest of its shot's frozen statistics; None: they are computed per picture.
        window: neighbours for temporal smoothing.
        guides: painted key frames that guide it, the earliest first.
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
    guides: tuple[GuideKey, ...] = ()

    @property
    def is_key(self) -> bool:
        """Whether it is a painted key frame, which its own painting guides."""
        return any(guide.distance == 0 for guide in self.guides)

    @property
    def auxiliary_files(self) -> tuple[Path | None, ...]:
        """Files of its regions, two a region, in order."""
        return tuple(path for files in self.regions for path in (files.where, files.picture))

    @model_serializer(mode="wrap")
    def _without_unset_fields(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_defaults(self, dump(self), ("regions", "number", *FRAME_OVERRIDES, "shot"))
