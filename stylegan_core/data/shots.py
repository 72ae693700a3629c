"""Shots: plates with a few painted key frames, matched by frame number."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stylegan_core.data.sources import Place, Source, SourceError, abbreviate, list_pairs
from stylegan_core.frames.sequences.listing import Frame, list_frames

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shot:
    """A shot and what belongs to it.

    Attributes:
        name: of the shot.
        plates: folder or pattern of the frames as they were filmed.
        painted: folder or pattern of the painted key frames, numbered as their plates.
        masks: folder or pattern of masks that say which part of a key frame is painted, or None.
        truth: folder or pattern of further painted frames, for evaluation alone, or None.
        motion: JSON of the true camera motion, or None.
        frames: range of the shot's frames, such as ``1001-1100x2``; None is all.
        pairs: folders of further pictures before and after that train its model.
    """

    name: str
    plates: Path
    painted: Path
    masks: Path | None = None
    truth: Path | None = None
    motion: Path | None = None
    frames: str | None = None
    pairs: tuple[tuple[Path, Path], ...] = ()


def list_shot(
    shot: Shot,
    place: Place,
    *,
    content_space: str = "auto",
    style_space: str = "auto",
    plates_every: int = 8,
    preview_frames: int = 0,
) -> list[Source]:
    """Every picture of a shot.

    All plates are listed. The store keeps those of the key frames and, of the others, the first of every
    ``plates_every``; truth is read from its files when a model is judged.

    Args:
        shot: see there.
        place: how paths are shown.
        content_space: how the colours of plates are read.
        style_space: how the colours of painted frames are read.
        plates_every: 0 keeps no unpainted plates.
        preview_frames: only the first so many plates, and those of the key frames; 0 is all.

    Raises:
        FileNotFoundError: a folder or the motion file is missing.
        ValueError: a folder is empty, two files have one number, or a painted frame has no plate.
    """
    if shot.motion and not shot.motion.is_file():
        raise FileNotFoundError(f"shot {shot.name}: motion file {shot.motion} does not exist")
    every_plate = _numbered(shot, "plate", shot.plates, place)
    painted = _numbered(shot, "painted frame", shot.painted, place)
    _all_have_plates(shot, "painted frame", painted, every_plate, place)
    asked = {f.number for f in list_frames(shot.plates, shot.frames)} if shot.frames else set(every_plate)
    plates = {number: path for number, path in every_plate.items() if number in asked}
    if preview_frames:
        plates = dict(list(plates.items())[:preview_frames])
    # A key frame outside the range teaches as well as one inside.
    plates |= {number: every_plate[number] for number in painted}
    plates = dict(sorted(plates.items()))

    sources = []
    unpainted = 0
    for number, path in plates.items():
        keep = number in painted or (plates_every > 0 and unpainted % plates_every == 0)
        unpainted += number not in painted
        pair = f"{shot.name}/{number}" if number in painted else ""
        sources.append(_source(shot, place, "plate", number, path, content_space, keep=keep, pair=pair))
    for number, path in painted.items():
        sources.append(_source(shot, place, "painted", number, path, style_space, pair=f"{shot.name}/{number}"))
    if shot.masks:
        sources += _masks(shot, place, painted)
    if shot.truth:
        truth = _numbered(shot, "truth frame", shot.truth, place)
        _all_have_plates(shot, "truth frame", truth, every_plate, place)
        for number, path in truth.items():
            if number in painted:
                raise SourceError(
                    f"shot {shot.name}: frame {number} is both a key frame and truth ({place.show(path)}): truth must "
                    "be frames that training does not see"
                )
            if number in plates:
                sources.append(_source(shot, place, "truth", number, path, style_space, keep=False))
    for index, (content, style) in enumerate(shot.pairs):
        prefix = f"{shot.name}/pairs{index}/"
        sources += list_pairs(content, style, content_space, style_space, place, shot=shot.name, prefix=prefix)
    return sources


def _source(
    shot: Shot, place: Place, role: str, number: int, path: Path, space: str, *, keep: bool = True, pair: str = ""
) -> Source:
    groups = {"plate": "plates", "painted": "painted frames", "truth": "truth frames"}
    domains = {"plate": "content", "painted": "style", "truth": "truth"}
    return Source(
        path,
        place.show(path),
        f"the {groups[role]} of shot {shot.name}",
        role,  # type: ignore[arg-type]
        domains[role],
        space,
        keep=keep,
        shot=shot.name,
        frame=number,
        pair=pair,
    )


def _masks(shot: Shot, place: Place, painted: dict[int, Path]) -> list[Source]:
    assert shot.masks is not None
    masks = _numbered(shot, "mask", shot.masks, place)
    if unknown := [number for number in masks if number not in painted]:
        _log.warning("shot %s: masks of frames that are not painted are not used: %s", shot.name, _numbers(unknown))
    return [
        mask_source(path, place.show(path), shot.name, number, place.show(painted[number]))
        for number, path in masks.items()
        if number in painted
    ]


def mask_source(path: Path, shown: str, shot: str, number: int | None, of: str) -> Source:
    """The mask of a painted frame; ``path`` is the painted frame's own where its alpha channel is the mask."""
    return Source(path, shown, f"the masks of shot {shot}", "mask", "", shot=shot, frame=number, of=of)


def _numbered(shot: Shot, what: str, where: Path, place: Place) -> dict[int, Path]:
    """Paths by frame number, in the numbers' order."""
    try:
        frames: Sequence[Frame] = list_frames(where)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"shot {shot.name}, {what}s: {error}") from error
    except ValueError as error:
        raise SourceError(f"shot {shot.name}, {what}s: {error}") from error
    if unnumbered := [place.show(f.path) for f in frames if f.number is None]:
        raise SourceError(
            f"shot {shot.name}: no frame number in {abbreviate(unnumbered)}: expected names like x.0001.png"
        )
    found: dict[int, Path] = {}
    for frame in frames:
        assert frame.number is not None
        if frame.number in found:
            raise SourceError(
                f"shot {shot.name}: two files for {what} {frame.number}: {place.show(found[frame.number])} and "
                f"{place.show(frame.path)}"
            )
        found[frame.number] = frame.path
    return dict(sorted(found.items()))


def _all_have_plates(shot: Shot, what: str, frames: dict[int, Path], plates: dict[int, Path], place: Place) -> None:
    unmatched = [number for number in frames if number not in plates]
    if unmatched:
        first, last = min(plates), max(plates)
        raise SourceError(
            f"shot {shot.name}: no plate has the number of {what} {_numbers(unmatched)} "
            f"({place.show(frames[unmatched[0]])}); the plates are {first} to {last}"
        )


def _numbers(numbers: list[int]) -> str:
    return abbreviate(str(number) for number in numbers)
