"""The stage prepare: from the user's pictures to the manifest and the store."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylegan_core.config import Params, PrepareSettings
from stylegan_core.data.decode import Decoded, DecodeSettings, decode, trim_cache
from stylegan_core.data.materialize import materialize
from stylegan_core.data.selection import Selection, alpha_masks, check_usable, select
from stylegan_core.data.shots import Shot, list_shot
from stylegan_core.data.sources import Place, Source, SourceError, list_collection, list_pairs
from stylegan_core.frames.atomic import write_bytes_atomically
from stylegan_core.frames.cache import cache_folder
from tasks.errors import InputsFailedError, UsageError

_log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with pictures done and pictures in all, one call at a time, from any thread."""

_CHUNK = 16
_CACHE_LIMIT_BYTES = 20_000_000_000
_LISTED = 20
_SPACES = {"icc": "their ICC profile says", "srgb": "sRGB", "linear_rec709": "linear Rec.709"}


@dataclass(frozen=True)
class Listing:
    """What to prepare.

    Attributes:
        sources: every picture.
        shots: the shots among them.
        place: how paths are shown.
        sample: where the built-in sample was built, if it is used.
    """

    sources: tuple[Source, ...]
    shots: tuple[Shot, ...]
    place: Place
    sample: Path | None = None

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
        if settings.source == "sample":
            return _list_sample(settings, output, place)
        if settings.source == "shots":
            shots = tuple(_shot(entry) for entry in params.shots)
            return Listing(tuple(s for shot in shots for s in _list_shot(shot, settings, place)), shots, place)
        assert settings.content is not None and settings.style is not None  # the settings require them
        if settings.source == "pairs":
            sources = list_pairs(settings.content, settings.style, settings.content_space, settings.style_space, place)
        else:
            sources = list_collection(settings.content, "content", settings.content_space, place)
            sources += list_collection(settings.style, "style", settings.style_space, place)
        return Listing(tuple(sources), (), place)
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
    _tell(selection)
    _stop_if_too_bad(selection, params.prepare.max_bad_fraction)
    try:
        check_usable(selection, [shot.name for shot in listing.shots])
    except SourceError as error:
        raise UsageError(f"prepare: {error}") from error
    report = materialize(
        selection, output, settings=settings, shots=listing.shots, place=listing.place, sample=listing.sample
    )
    trim_cache(folder, _CACHE_LIMIT_BYTES)
    _log.info("prepared %d pictures, %d of them stored, in %s", report["pictures"], report["stored"], output)
    for group, facts in report["groups"].items():
        for space, count in facts["colour"].items():
            _log.info("%s: %d taken as %s", group, count, _SPACES.get(space, space))
    return report


def decode_settings(settings: PrepareSettings) -> DecodeSettings:
    """The settings that decide how a picture is decoded."""
    return DecodeSettings(settings.working_space, settings.sample_type, settings.min_side_px, settings.max_megapixels)


def _decode(source: Source, settings: DecodeSettings, folder: Path) -> Decoded:
    return decode(source.path, source.space, settings, folder, mask=source.role == "mask", keep=source.keep)


def _list_sample(settings: PrepareSettings, output: Path, place: Place) -> Listing:
    built = _built_sample(settings)
    place = Place(place.project, ((built, output / "sample"),))
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
    return Listing(tuple(sources), (shot,), place, built)


def _built_sample(settings: PrepareSettings) -> Path:
    """The built-in sample in the user's cache, built there if it is not."""
    from stylegan_core.data import painter, photographs
    from stylegan_core.data import sample as sample_module

    shape = settings.sample.model_dump(exclude={"train_on_pairs"})
    digest = hashlib.sha256(json.dumps(shape, sort_keys=True).encode())
    for module in (painter, photographs, sample_module):
        digest.update(Path(str(module.__file__)).read_bytes())
    folder = cache_folder("sample") / digest.hexdigest()[:32]
    if not (folder / "complete").is_file():
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
        _log.info("building the built-in sample in %s", folder)
        sample_module.build_sample(folder / "files", **shape)
        write_bytes_atomically(folder / "complete", b"")
    return folder / "files"


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
