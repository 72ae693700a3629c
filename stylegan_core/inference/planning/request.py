"""Stylize request: the input, output, frames and settings of one call of ``stylereel stylize`` or of the stage."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from stylegan_core.choices import MissingMask
from stylegan_core.inference.conditioning.edit_vocabulary import OWN
from stylegan_core.settings import SettingsError, validated
from stylegan_core.stylize_settings import FRAMES_PER_S, RegionSettings, StylizeSettings

MissingRule = Literal["error", "skip", "hold", "black"]


@dataclass(frozen=True)
class Request:
    """One call: its input, its output, its frames and its settings.

    Attributes:
        source: a folder, a pattern such as shot.####.png, a picture or a movie.
        output: a folder outside of ``source``, a pattern, a picture or a movie.
        settings: as in the section ``stylize`` of params.yaml; its ``input`` is not used.
        model: a model folder, the name of one in ``models``, a models:/ URI, or None: the last trained.
        frames: a range of frame numbers such as "1-100x2".
        every: every n-th of these frames, beginning with the first.
        limit: maximum number of these frames, counted from the first.
        pick: number of these frames to select, evenly spaced.
        masks: a folder, a pattern or one file of masks, matched by name or frame number.
        missing: what becomes of frames that a numbered sequence lacks; None is "error" where numbers are named, by a
            pattern or by ``frames``, and "skip" in a folder.
        missing_mask: what a frame without a mask means: a wrong call, all of it is stylized, or nothing.
        codec: of an output that is a movie; None is the source's where its container takes it.
        quality: constant rate factor of such a movie in H.264 or H.265; None is near lossless.
        fps: frames a second of a movie made of pictures, and of previews.
        source_space: name of a colour space, or "auto": from each file's metadata, else by its sample type.
        device: "auto" or torch's name of a device.
        overwrite: whether files in the output folder that no run made may be replaced.
        root: what relative style images and the style bank are relative to.
        regions_root: what relative paths in ``settings.regions`` are relative to.
        models: the project's folder of models.
        vocabulary: the project's own words for edits; the file need not exist.
    """

    source: str | Path
    output: str | Path
    settings: StylizeSettings = field(default_factory=StylizeSettings)
    model: str | Path | None = None
    frames: str | None = None
    every: int = 1
    limit: int | None = None
    pick: int | None = None
    masks: Path | None = None
    missing: MissingRule | None = None
    missing_mask: MissingMask = "error"
    codec: str | None = None
    quality: int | None = None
    fps: float = FRAMES_PER_S
    source_space: str = "auto"
    device: str = "auto"
    overwrite: bool = False
    root: Path = field(default_factory=Path.cwd)
    regions_root: Path = field(default_factory=Path.cwd)
    models: Path = Path("models")
    vocabulary: Path = OWN

    @classmethod
    def of(cls, source: str | Path, output: str | Path, *, regions: Path | None = None, **options: Any) -> Request:
        """A request from plain options.

        Args:
            source: see ``Request``.
            output: see ``Request``.
            regions: a YAML file of regions; paths in it are relative to its folder.
            options: other fields of ``Request``, and of ``StylizeSettings``.

        Raises:
            SettingsError: a setting is unknown or out of range, or the file of regions is wrong.
        """
        own = {name: options.pop(name) for name in (item.name for item in fields(cls)) if name in options}
        if regions is not None:
            options["regions"] = load_regions(regions)
            own["regions_root"] = Path(regions).absolute().parent
        return cls(source, output, settings=validated(StylizeSettings, options, "stylize"), **own)


def load_regions(path: Path) -> tuple[RegionSettings, ...]:
    """Reads a list of regions from a YAML file, in the form of ``stylize.regions`` in params.yaml.

    Raises:
        SettingsError: the file is missing or not a YAML list, or an entry is wrong.
    """
    from ruamel.yaml import YAML

    path = Path(path)
    try:
        entries = YAML(typ="safe").load(path)
    except OSError as error:
        raise SettingsError(f"the regions {path} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        raise SettingsError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(entries, list) or not entries:
        raise SettingsError(f"{path} must hold a list of regions, each beginning with `- where:` or `- labels:`")
    return tuple(validated(RegionSettings, entry, f"{path.name}[{index}]") for index, entry in enumerate(entries))
