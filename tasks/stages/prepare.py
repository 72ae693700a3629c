"""The stage prepare: from the user's pictures to the manifest and the store."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stylegan_core.config import Params, PrepareSettings
from stylegan_core.data.decode import Decoded, DecodeSettings, decode, trim_cache
from stylegan_core.data.layouts.files import list_layout, unpack_layout
from stylegan_core.data.layouts.halves import list_halves, unpack_halves
from stylegan_core.data.layouts.labels import label_sources, read_labels
from stylegan_core.data.layouts.unpacking import build_once
from stylegan_core.data.materialize import materialize
from stylegan_core.data.selection import Selection, alpha_masks, check_usable, select
from stylegan_core.data.shots import Shot, list_shot
from stylegan_core.data.sources import Place, Source, SourceError, list_collection, list_pairs, split_by_folders
from stylegan_core.frames.colour.convert import working_space_name
from stylegan_core.frames.colour.source_space import OWN_SPACES, known_space
from stylegan_core.frames.profiles.ocio import PINNED_CONFIG, config_name, load_config
from stylegan_core.storage.cache import cache_folder
from tasks.shared.errors import InputsFailedError, UsageError

_log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with pictures done and pictures in all, one call at a time, from any thread."""

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
        place: how paths are shown.
        copies: folders outside the project whose pictures belong into the output, by their names there.
        warnings: (of what, in words).
    """

    sources: tuple[Source, ...]
    shots: tuple[Shot, ...]
    place: Place
    copies: Mapping[str, Path] = field(default_factory=dict)
    warnings: tuple[tuple[str, str], ...] = ()

    def chunks(self) -> list[tuple[Source, ...]]:
        """The sources in pieces of the size of one task."""
        return [self.sources[start : start + _CHUNK] for start in range(0, len(self.sources), _CHUNK)]


def prepare(
    params: Params, output: Path, progress: Progress | None = None, *, project: Path | None = None
) -> dict[str, Any]:
    """Runs the whole stage in this process.

    Args:
        params: all settings.
        output: the folder of the prepared data; what it held is replaced.
        progress: told of every decoded picture.
        project: root that paths in the manifest are relative to; default: the working folder.
    Returns:
        The report, as in ``output/report.json``.

    Raises:
        UsageError: a folder is missing or empty, or sources do not fit together.
        InputsFailedError: more than ``max_bad_fraction`` of a folder's pictures are refused.
    """
    listing = list_sources(params, output, project=project)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="decode") as pool:
        decoded = list(pool.map(decoder(params, listing, progress), listing.chunks()))
    return finish(params, listing, decoded, output)


def list_sources(params: Params, output: Path, *, project: Path | None = None) -> Listing:
    """Finds every picture of the settings' source; builds the sample first where it is the source.

    Raises:
        UsageError: a folder is missing or empty, or sources do not fit together.
    """
    settings = params.prepare
    place = Place(project or Path.cwd())
    try:
        _check_spaces(settings)
        if settings.source == "sample":
            return _list_sample(settings, output, place)
        if settings.source == "shots":
            shots = tuple(_shot(entry) for entry in params.shots)
            return Listing(tuple(s for shot in shots for s in _list_shot(shot, settings, place)), shots, place)
        return _list_folders(settings, output, place)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise UsageError(f"prepare: {error}") from error


def decoder(
    params: Params, listing: Listing, progress: Progress | None = None
) -> Callable[[Sequence[Source]], list[Decoded]]:
    """The function that decodes one chunk of the listing, to be called from a few threads."""
    done, lock = 0, threading.Lock()
    settings, folder = decode_settings(params.prepare), cache_folder("prepare")

    def decode_chunk(chunk: Sequence[Source]) -> list[Decoded]:
        nonlocal done
        results = []
        for source in chunk:
            results.append(_decode(source, settings, folder))
            with lock:
                done += 1
                if progress:
                    progress(done, len(listing.sources))
        return results

    return decode_chunk


def finish(params: Params, listing: Listing, decoded: Sequence[Sequence[Decoded]], output: Path) -> dict[str, Any]:
    """Chooses among the decoded pictures and writes the prepared data.

    Args:
        params: all settings.
        listing: what was decoded.
        decoded: results of ``decoder`` for ``listing.chunks()``, in order.
        output: the folder of the prepared data.
    Returns:
        The report, as in ``output/report.json``.

    Raises:
        UsageError: nothing is left to learn from.
        InputsFailedError: more than ``max_bad_fraction`` of a folder's pictures are refused.
    """
    settings, folder = decode_settings(params.prepare), cache_folder("prepare")
    facts = [one for chunk in decoded for one in chunk]
    masks = alpha_masks(listing.sources, facts)
    sources = [*listing.sources, *masks]
    facts += [_decode(mask, settings, folder) for mask in masks]
    selection = select(
        sources,
        facts,
        validation_fraction=params.prepare.validation_fraction,
        test_fraction=params.prepare.test_fraction,
    )
    selection.warnings += listing.warnings
    _tell(selection)
    _stop_if_too_bad(selection, params.prepare.max_bad_fraction)
    try:
        check_usable(selection, [shot.name for shot in listing.shots])
    except SourceError as error:
        raise UsageError(f"prepare: {error}") from error
    report = materialize(
        selection, output, settings=settings, shots=listing.shots, place=listing.place, copies=listing.copies
    )
    trim_cache(folder, _CACHE_LIMIT_BYTES)
    _log.info("prepared %d pictures, %d of them stored, in %s", report["pictures"], report["stored"], output)
    for group, facts in report["groups"].items():
        for space, count in facts["colour"].items():
            _log.info("%s: %d taken as %s", group, count, _SPACES.get(space, space))
    return report


def _check_spaces(settings: PrepareSettings) -> None:
    """Here and not where settings are read: training need not know of colour spaces."""
    working_space_name(settings.working_space, settings.ocio)
    for space in (settings.content_space, settings.style_space):
        if space != "auto":
            known_space(space, settings.ocio)


def decode_settings(settings: PrepareSettings) -> DecodeSettings:
    """The settings that decide how a picture is decoded."""
    return DecodeSettings(
        working_space_name(settings.working_space, settings.ocio),
        settings.sample_type,
        settings.min_side_px,
        settings.max_megapixels,
        settings.resize_px,
        settings.resize_filter,
        *_config(settings),
    )


def _config(settings: PrepareSettings) -> tuple[str | None, str | None]:
    """The OpenColorIO config that matters, and its digest: none where the built-in only serves what headers say."""
    name = config_name(settings.ocio)
    named = {settings.working_space, settings.content_space, settings.style_space} - {*OWN_SPACES, "auto", "icc"}
    return (name, load_config(name).digest) if named or name != PINNED_CONFIG else (None, None)


def _decode(source: Source, settings: DecodeSettings, folder: Path) -> Decoded:
    if source.refusal:
        return Decoded(refusal=source.refusal)
    return decode(source.path, source.space, settings, folder, mask=source.role == "mask", keep=source.keep)


def _list_folders(settings: PrepareSettings, output: Path, place: Place) -> Listing:
    content, style = settings.content, settings.style
    spaces = settings.content_space, settings.style_space
    assert content is not None  # the settings require it
    unpacked, warnings = None, []
    if settings.source == "pairs":
        assert style is not None
        sources = list_pairs(content, style, *spaces, place)
    elif settings.source == "side_by_side":
        unpacked = unpack_halves(content, place, max_megapixels=settings.max_megapixels)
        place = place.moving(unpacked.files, output / _UNPACKED)
        sources = list_halves(content, unpacked, settings.content_half, *spaces, place)
    else:
        unpacked = unpack_layout(settings.layout, content)
        place = place.moving(unpacked.files, output / _UNPACKED) if unpacked else place
        listed = list_layout(settings.layout, content, unpacked, spaces[0], place)
        sources, warnings = listed.sources, listed.warnings
        if style is not None:
            sources += list_collection(style, "style", spaces[1], place)
    if settings.split == "folders":
        sources = split_by_folders(sources)
    if settings.labels is not None:
        sources, more = label_sources(sources, read_labels(settings.labels), place.show(settings.labels))
        warnings = [*warnings, *more]
    copies = {_UNPACKED: unpacked.files} if unpacked else {}
    return Listing(tuple(sources), (), place, copies, tuple(warnings))


def _list_sample(settings: PrepareSettings, output: Path, place: Place) -> Listing:
    built = _built_sample(settings)
    place = place.moving(built, output / "sample")
    shot = Shot(
        name="sample",
        plates=built / "shot" / "plates",
        painted=built / "shot" / "painted",
        truth=built / "shot" / "truth",
        motion=built / "shot" / "motion.json",
        pairs=((built / "pairs" / "content", built / "pairs" / "style"),) if settings.sample.train_on_pairs else (),
    )
    sources = _list_shot(shot, settings, place)
    sources += list_collection(built / "photograph", "content", settings.content_space, place)
    sources += list_collection(built / "oil", "style", settings.style_space, place)
    return Listing(tuple(sources), (shot,), place, {"sample": built})


def _built_sample(settings: PrepareSettings) -> Path:
    """The built-in sample in the user's cache, built there if it is not."""
    from stylegan_core.data.sample import build as sample_module
    from stylegan_core.data.sample import painter, photographs

    shape = settings.sample.model_dump(exclude={"train_on_pairs"})
    code = [Path(str(module.__file__)).read_text(encoding="utf-8") for module in (painter, photographs, sample_module)]

    def build(files: Path) -> dict[str, Any]:
        sample_module.build_sample(files, **shape)
        return {}

    return build_once("sample", [shape, code], build).files


def _list_shot(shot: Shot, settings: PrepareSettings, place: Place) -> list[Source]:
    return list_shot(
        shot,
        place,
        content_space=settings.content_space,
        style_space=settings.style_space,
        plates_every=settings.plates_every,
        preview_frames=settings.preview_frames,
    )


def _shot(entry: Any) -> Shot:
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


def _tell(selection: Selection) -> None:
    for refusal in selection.refused[:_LISTED]:
        _log.warning("left out: %s %s", refusal.path, refusal.reason)
    if len(selection.refused) > _LISTED:
        _log.warning("left out: %d more, see report.json", len(selection.refused) - _LISTED)
    for path, warning in selection.warnings[:_LISTED]:
        _log.warning("%s: %s", path, warning)
    if len(selection.warnings) > _LISTED:
        _log.warning("%d more warnings, see report.json", len(selection.warnings) - _LISTED)


def _stop_if_too_bad(selection: Selection, max_bad_fraction: float) -> None:
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
