"""The stage prepare: turns the user's pictures into the manifest and the store."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from stylegan_core.config import Params, PrepareSettings, ShotSettings
from stylegan_core.data.decode import DecodeSettings, decode, trim_cache
from stylegan_core.data.layouts.files import list_layout, unpack_layout
from stylegan_core.data.layouts.halves import list_halves, unpack_halves
from stylegan_core.data.layouts.labels import label_sources, read_labels
from stylegan_core.data.layouts.unpacking import Unpacked, build_once
from stylegan_core.data.materialize import materialize
from stylegan_core.data.report import PrepareReport
from stylegan_core.data.selection import Selection, alpha_masks, check_usable, select
from stylegan_core.data.shots import Shot, list_shot
from stylegan_core.data.sources import PathDisplay, Source, SourceError, list_collection, list_pairs, split_by_folders
from stylegan_core.frames.colour.convert import working_space_name
from stylegan_core.frames.colour.source_space import OWN_SPACES, known_space
from stylegan_core.frames.profiles.ocio import PINNED_CONFIG, config_name, load_config
from stylegan_core.storage.cache import cache_folder
from tasks.shared.errors import InputsFailedError, UsageError

_log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with the number of pictures done and of all pictures, one call at a time, from any thread."""

_CHUNK = 16
_CACHE_LIMIT_BYTES = 20_000_000_000
_LISTED = 20
_UNPACKED = "unpacked"
_SPACES = {"icc": "their ICC profile says", "srgb": "sRGB", "linear_rec709": "linear Rec.709"}


@dataclass(frozen=True)
class Listing:
    """What to prepare.

    Attributes:
        sources: every picture.
        shots: the shots among them.
        display: how paths are shown.
        copies: folders outside the project whose pictures are copied into the output, by their names there.
        warnings: (path or group, in words).
    """

    sources: tuple[Source, ...]
    shots: tuple[Shot, ...]
    display: PathDisplay
    copies: Mapping[str, Path] = field(default_factory=dict)
    warnings: tuple[tuple[str, str], ...] = ()

    def chunks(self) -> list[tuple[Source, ...]]:
        """The sources in groups of the size of one task."""
        return [self.sources[start : start + _CHUNK] for start in range(0, len(self.sources), _CHUNK)]


def prepare(
    params: Params, output: Path, progress: Progress | None = None, *, project: Path | None = None
) -> PrepareReport:
    """Runs the whole stage in this process.

    Args:
        params: all settings.
        output: the folder of the prepared data; its previous content is replaced.
        progress: called after every decoded picture.
        project: root that paths in the manifest are relative to; default: the working folder.
    Returns:
        The content of ``output/report.json``.

    Raises:
        UsageError: a folder is missing or empty, or sources do not fit together.
        InputsFailedError: more than ``max_bad_fraction`` of a folder's pictures are refused.
    """
    listing = list_sources(params, output, project=project)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="decode") as pool:
        decoded = list(pool.map(decoder(params, listing, progress), listing.chunks()))
    return finish(params, listing, decoded, output)


def list_sources(params: Params, output: Path, *, project: Path | None = None) -> Listing:
    """Finds every picture of ``prepare.source``; builds the sample first where that is the source.

    Raises:
        UsageError: a folder is missing or empty, or sources do not fit together.
    """
    settings = params.prepare
    display = PathDisplay(project or Path.cwd())
    try:
        _check_spaces(settings)
        if settings.source == "sample":
            return _list_sample(settings, output, display)
        if settings.source == "shots":
            shots = tuple(_shot(entry) for entry in params.shots)
            return Listing(tuple(s for shot in shots for s in _list_shot(shot, settings, display)), shots, display)
        return _list_folders(settings, output, display)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise UsageError(f"prepare: {error}") from error


def decoder(
    params: Params, listing: Listing, progress: Progress | None = None
) -> Callable[[Sequence[Source]], list[Source]]:
    """The function that decodes one chunk of the listing; it may be called from several threads."""
    done, lock = 0, threading.Lock()
    folder = cache_folder("prepare")
    settings = {domain: decode_settings(params.prepare, domain) for domain in {s.domain for s in listing.sources}}

    def decode_chunk(chunk: Sequence[Source]) -> list[Source]:
        nonlocal done
        decoded = []
        for source in chunk:
            decoded.append(decode(source, settings[source.domain], folder))
            with lock:
                done += 1
                if progress:
                    progress(done, len(listing.sources))
        return decoded

    return decode_chunk


def finish(params: Params, listing: Listing, decoded: Iterable[Sequence[Source]], output: Path) -> PrepareReport:
    """Selects among the decoded pictures and writes the prepared data.

    Args:
        params: all settings.
        listing: what was decoded.
        decoded: results of ``decoder`` for ``listing.chunks()``.
        output: the folder of the prepared data.
    Returns:
        The content of ``output/report.json``.

    Raises:
        UsageError: no picture to learn from can be used.
        InputsFailedError: more than ``max_bad_fraction`` of a folder's pictures are refused.
    """
    settings, folder = decode_settings(params.prepare), cache_folder("prepare")
    sources = [source for chunk in decoded for source in chunk]
    sources += [decode(mask, settings, folder) for mask in alpha_masks(sources)]
    selection = select(
        sources,
        validation_fraction=params.prepare.validation_fraction,
        test_fraction=params.prepare.test_fraction,
    )
    selection.warnings += listing.warnings
    _log_problems(selection)
    _check_bad_fraction(selection, params.prepare.max_bad_fraction)
    try:
        check_usable(selection, [shot.name for shot in listing.shots])
    except SourceError as error:
        raise UsageError(f"prepare: {error}") from error
    report = materialize(
        selection, output, settings=settings, shots=listing.shots, display=listing.display, copies=listing.copies
    )
    trim_cache(folder, _CACHE_LIMIT_BYTES)
    _log.info("prepared %d pictures, %d of them stored, in %s", report.pictures, report.stored, output)
    for group, counts in report.groups.items():
        for space, count in counts.colour.items():
            _log.info("%s: %d read as %s", group, count, _SPACES.get(space, space))
    return report


def _check_spaces(settings: PrepareSettings) -> None:
    """Checked here and not where settings are read, so that training does not import colour spaces."""
    working_space_name(settings.working_space, settings.ocio)
    for space in (settings.content_space, settings.style_space):
        if space != "auto":
            known_space(space, settings.ocio)


def decode_settings(settings: PrepareSettings, domain: str = "") -> DecodeSettings:
    """The settings that decide how a picture of a domain is decoded, "content", "style" or others."""
    return DecodeSettings(
        working_space_name(settings.working_space, settings.ocio),
        settings.sample_type,
        settings.min_side_px,
        settings.max_megapixels,
        settings.resize_px,
        settings.filter_of(domain),
        *_config(settings),
    )


def _config(settings: PrepareSettings) -> tuple[str | None, str | None]:
    """The OpenColorIO config that decides samples, and its digest; none where only headers use the built-in one."""
    name = config_name(settings.ocio)
    named = {settings.working_space, settings.content_space, settings.style_space} - {*OWN_SPACES, "auto", "icc"}
    return (name, load_config(name).digest) if named or name != PINNED_CONFIG else (None, None)


def _list_folders(settings: PrepareSettings, output: Path, display: PathDisplay) -> Listing:
    content, style = settings.content, settings.style
    spaces = settings.content_space, settings.style_space
    assert content is not None  # the settings require it
    unpacked: Unpacked | None = None
    warnings: list[tuple[str, str]] = []
    if settings.source == "pairs":
        assert style is not None
        sources = list_pairs(content, style, *spaces, display)
    elif settings.source == "side_by_side":
        unpacked = halves = unpack_halves(content, display, max_megapixels=settings.max_megapixels)
        display = display.with_moved(halves.files, output / _UNPACKED)
        sources = list_halves(content, halves, settings.content_half, *spaces, display)
    else:
        unpacked = unpack_layout(settings.layout, content)
        display = display.with_moved(unpacked.files, output / _UNPACKED) if unpacked else display
        listed = list_layout(settings.layout, content, unpacked, spaces[0], display)
        sources, warnings = listed.sources, listed.warnings
        if style is not None:
            sources += list_collection(style, "style", spaces[1], display)
    if settings.split == "folders":
        sources = split_by_folders(sources)
    if settings.labels is not None:
        sources, more = label_sources(sources, read_labels(settings.labels), display.show(settings.labels))
        warnings = [*warnings, *more]
    copies = {_UNPACKED: unpacked.files} if unpacked else {}
    return Listing(tuple(sources), (), display, copies, tuple(warnings))


def _list_sample(settings: PrepareSettings, output: Path, display: PathDisplay) -> Listing:
    built = _built_sample(settings)
    display = display.with_moved(built, output / "sample")
    shot = Shot(
        name="sample",
        plates=built / "shot" / "plates",
        painted=built / "shot" / "painted",
        truth=built / "shot" / "truth",
        motion=built / "shot" / "motion.json",
        pairs=((built / "pairs" / "content", built / "pairs" / "style"),) if settings.sample.train_on_pairs else (),
    )
    sources = _list_shot(shot, settings, display)
    sources += list_collection(built / "photograph", "content", settings.content_space, display)
    sources += list_collection(built / "painting", "style", settings.style_space, display)
    return Listing(tuple(sources), (shot,), display, {"sample": built})


def _built_sample(settings: PrepareSettings) -> Path:
    """The built-in sample in the user's cache, built there if it is not."""
    from stylegan_core.data.sample import build as sample_module

    shape = settings.sample.model_dump(exclude={"train_on_pairs"})
    code = [path.read_text(encoding="utf-8") for path in sorted(Path(sample_module.__file__).parent.glob("*.py"))]

    def build(files: Path) -> Unpacked:
        sample_module.build_sample(files, **shape)
        return Unpacked(files)

    return build_once("sample", [shape, code], Unpacked, build).files


def _list_shot(shot: Shot, settings: PrepareSettings, display: PathDisplay) -> list[Source]:
    return list_shot(
        shot,
        display,
        content_space=settings.content_space,
        style_space=settings.style_space,
        plates_every=settings.plates_every,
        preview_frames=settings.preview_frames,
    )


def _shot(entry: ShotSettings) -> Shot:
    return Shot(
        entry.name,
        entry.plates,
        entry.painted,
        entry.masks,
        entry.truth,
        entry.motion,
        entry.frames,
        tuple((pair.content, pair.style) for pair in entry.pairs),
    )


def _log_problems(selection: Selection) -> None:
    for refusal in selection.refused[:_LISTED]:
        _log.warning("refused: %s %s", refusal.path, refusal.reason)
    if len(selection.refused) > _LISTED:
        _log.warning("refused: %d more, see report.json", len(selection.refused) - _LISTED)
    for path, warning in selection.warnings[:_LISTED]:
        _log.warning("%s: %s", path, warning)
    if len(selection.warnings) > _LISTED:
        _log.warning("%d more warnings, see report.json", len(selection.warnings) - _LISTED)


def _check_bad_fraction(selection: Selection, max_bad_fraction: float) -> None:
    over = selection.over(max_bad_fraction)
    if not over:
        return
    lines = [f"{refusal.path} {refusal.reason}" for refusal in over]
    listed = "\n  ".join(lines[:_LISTED] + ([f"and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []))
    groups = sorted({refusal.group for refusal in over})
    sizes = ", ".join(
        f"{sum(r.group == group for r in over)} of {selection.group_sizes[group]} in {group}" for group in groups
    )
    raise InputsFailedError(
        f"too many pictures are refused (prepare.max_bad_fraction is {max_bad_fraction:g}): {sizes}:\n  {listed}"
    )
