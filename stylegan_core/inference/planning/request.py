"""What a person asks of ``stylereel stylize``: a folder in, a folder out, and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stylegan_core.inference.conditioning.edit_vocabulary import OWN
from stylegan_core.inference.planning.conditioning_request import ConditioningRequest
from stylegan_core.inference.planning.planner import DEFAULT_RENDER
from stylegan_core.inference.planning.regions import load_regions
from stylegan_core.settings import validated
from stylegan_core.stylize_settings import RenderSettings


@dataclass(frozen=True)
class Request:
    """What a person asks for.

    Attributes:
        source: a folder, a pattern such as shot.####.png, or a movie.
        output: a folder outside of it, a pattern, or a movie.
        model: a model folder, the name of one in ``models``, a models:/ URI, or None: the last trained.
        models: the project's folder of models.
        frames: a range of frame numbers such as "1-100x2".
        every: of these the first of every so many.
        limit: of these the first so many.
        pick: of these so many, evenly spread, for a look.
        masks: a folder, a pattern or one file of masks, by name or frame number.
        missing: what becomes of frames that a numbered sequence lacks, see ``select``.
        missing_mask: what a frame without a mask means.
        render: how frames are stylized.
        codec: of an output that is a movie; None is the source's where its container takes it.
        quality: constant rate factor of such a movie in H.264 or H.265; None is near lossless.
        fps: frames a second of a movie made of pictures, and of previews.
        source_space: "auto", "srgb" or "linear_rec709".
        chunk_frames: frames of one task run.
        device: "auto" or torch's name of one.
        overwrite: whether files of the output folder that no run made may be replaced.
        style_images: reference pictures, each with a weight after a colon, for models that take them.
        edit: changes of attributes, for models that make them.
        direction: for models that go both ways.
        regions: a YAML file of parts of the frames that are made otherwise; paths in it are relative to its folder.
        elsewhere: what is outside of all regions.
        style_bank: folder of precomputed references, whose names ``style_images`` then are.
        vocabulary: the user's own words for edits, if there is such a file.
    """

    source: str | Path
    output: str | Path
    model: str | Path | None = None
    models: Path = Path("models")
    frames: str | None = None
    every: int = 1
    limit: int | None = None
    pick: int | None = None
    masks: Path | None = None
    missing: Literal["error", "skip", "hold", "black"] | None = None
    missing_mask: Literal["error", "everywhere", "nowhere"] = "error"
    render: RenderSettings = DEFAULT_RENDER
    codec: str | None = None
    quality: int | None = None
    fps: float = 24.0
    source_space: str = "auto"
    chunk_frames: int = 64
    device: str = "auto"
    overwrite: bool = False
    style_images: tuple[str, ...] = ()
    edit: str | None = None
    direction: Literal["forward", "backward"] = "forward"
    regions: Path | None = None
    elsewhere: Literal["source", "style"] = "source"
    style_bank: Path | None = None
    vocabulary: Path = OWN

    @classmethod
    def of(cls, source: str | Path, output: str | Path, **options: Any) -> Request:
        """A request from plain options, those of ``render`` among them by their own names.

        Raises:
            SettingsError: one of ``render`` is out of range.
        """
        how = {name: options.pop(name) for name in RenderSettings.model_fields if name in options}
        return cls(source, output, render=validated(RenderSettings, how, "stylize"), **options)

    def wishes(self) -> ConditioningRequest:
        """Its directions and regions.

        Raises:
            SettingsError: the file of regions is wrong.
        """
        file = Path(self.regions) if self.regions else None
        return ConditioningRequest(
            tuple(self.style_images),
            self.edit,
            self.direction,
            load_regions(file) if file else (),
            self.elsewhere,
            regions_root=file.absolute().parent if file else Path.cwd(),
            models=self.models,
            style_bank=Path(self.style_bank) if self.style_bank else None,
            vocabulary=self.vocabulary,
        )
