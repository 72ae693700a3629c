"""Lists the pictures of a shot: content frames and a few painted style frames, matched by frame number."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stylegan_core.data.sources import PathDisplay, Source, SourceError, abbreviate, list_pairs
from stylegan_core.frames.sequences.listing import Frame, list_frames

_log = logging.getLogger(__name__)

_Numbered = dict[int, Path]
"""Paths by frame number, in the numbers' order."""

_GROUPS = {"content": "plates", "style": "painted frames", "truth": "truth frames"}
"""Domains in the words of ``shots:`` in params.yaml; they are keys of report.json."""


@dataclass(frozen=True)
class Shot:
    """The files of a shot, named as in ``shots:`` of params.yaml.

    Attributes:
        name: of the shot.
        plates: folder or pattern of the content frames, as they were filmed.
        painted: folder or pattern of the style frames: painted key frames, numbered as their content frames.
        masks: folder or pattern of masks that mark the painted part of a style frame, or None.
        truth: folder or pattern of further painted frames, for evaluation alone, or None.
        motion: JSON of the true camera motion, or None.
        frames: range of the shot's frames, such as ``1001-1100x2``; None is all.
        pairs: (content folder, style folder) of further pictures that train its model.
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
    display: PathDisplay,
    *,
    content_space: str = "auto",
    style_space: str = "auto",
    plates_every: int = 8,
    preview_frames: int = 0,
) -> list[Source]:
    """Every picture of a shot.

    All content frames (plates) are listed. The store keeps those that have a style frame (painted key frame) and, of
    the others, the first of every ``plates_every``; truth frames are read from their files when a model is evaluated.

    Args:
        shot: see there.
        display: how paths are shown.
        content_space: how the colours of content frames are read.
        style_space: how the colours of style frames are read.
        plates_every: 0 keeps no content frames without a style frame.
        preview_frames: limit to the first content frames, plus those with a style frame; 0 is all.

    Raises:
        FileNotFoundError: a folder or the motion file is missing.
        ValueError: a folder is empty, two files have one number, or a style frame has no content frame.
    """
    if shot.motion and not shot.motion.is_file():
        raise FileNotFoundError(f"shot {shot.name}: motion file {shot.motion} does not exist")
    every_content = _numbered(shot, "plate", shot.plates, display)
    style = _numbered(shot, "painted frame", shot.painted, display)
    _check_content(shot, "painted frame", style, every_content, display)
    content = _select_content(shot, every_content, style, preview_frames)

    sources = []
    unpainted = 0
    for number, path in content.items():
        keep = number in style or (plates_every > 0 and unpainted % plates_every == 0)
        unpainted += number not in style
        pair = _pair_id(shot, number) if number in style else ""
        sources.append(_source(shot, display, "content", number, path, space=content_space, keep=keep, pair=pair))
    for number, path in style.items():
        pair = _pair_id(shot, number)
        sources.append(_source(shot, display, "style", number, path, space=style_space, pair=pair))
    sources += _masks(shot, display, style)
    for number, path in _truth(shot, display, every_content, style).items():
        if number in content:
            sources.append(_source(shot, display, "truth", number, path, space=style_space, keep=False))
    for index, (contents, styles) in enumerate(shot.pairs):
        prefix = f"{shot.name}/pairs{index}/"
        sources += list_pairs(contents, styles, content_space, style_space, display, shot=shot.name, prefix=prefix)
    return sources


def _select_content(shot: Shot, every: _Numbered, style: _Numbered, preview_frames: int) -> _Numbered:
    """The content frames of the shot's range, cut to a preview, and those that have a style frame wherever they lie."""
    in_range = {f.number for f in list_frames(shot.plates, shot.frames)} if shot.frames else set(every)
    numbers = [number for number in every if number in in_range]
    chosen = {*numbers[: preview_frames or None], *style}
    return {number: every[number] for number in sorted(chosen)}


def _pair_id(shot: Shot, number: int) -> str:
    return f"{shot.name}/{number}"


def _source(
    shot: Shot,
    display: PathDisplay,
    domain: str,
    number: int,
    path: Path,
    *,
    space: str,
    keep: bool = True,
    pair: str = "",
) -> Source:
    group = f"the {_GROUPS[domain]} of shot {shot.name}"
    return Source(
        path, display.show(path), group, "shot", domain, space, keep=keep, shot=shot.name, frame=number, pair=pair
    )


def _masks(shot: Shot, display: PathDisplay, style: _Numbered) -> list[Source]:
    if shot.masks is None:
        return []
    masks = _numbered(shot, "mask", shot.masks, display)
    if unknown := [number for number in masks if number not in style]:
        _log.warning("shot %s: masks of frames that are not painted are not used: %s", shot.name, _numbers(unknown))
    return [
        mask_source(path, display.show(path), shot.name, number, display.show(style[number]))
        for number, path in masks.items()
        if number in style
    ]


def mask_source(path: Path, display_path: str, shot: str, number: int | None, masked: str) -> Source:
    """The mask of a style frame; ``path`` is the style frame's own where its alpha channel is the mask."""
    group = f"the masks of shot {shot}"
    return Source(path, display_path, group, "mask", "", shot=shot, frame=number, masked=masked)


def _truth(shot: Shot, display: PathDisplay, content: _Numbered, style: _Numbered) -> _Numbered:
    if shot.truth is None:
        return {}
    truth = _numbered(shot, "truth frame", shot.truth, display)
    _check_content(shot, "truth frame", truth, content, display)
    for number, path in truth.items():
        if number in style:
            raise SourceError(
                f"shot {shot.name}: frame {number} is both a key frame and truth ({display.show(path)}): truth must "
                "be frames that training does not see"
            )
    return truth


def _numbered(shot: Shot, what: str, where: Path, display: PathDisplay) -> _Numbered:
    """Paths by frame number, in the numbers' order."""
    try:
        frames: Sequence[Frame] = list_frames(where)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"shot {shot.name}, {what}s: {error}") from error
    except ValueError as error:
        raise SourceError(f"shot {shot.name}, {what}s: {error}") from error
    if unnumbered := [display.show(f.path) for f in frames if f.number is None]:
        raise SourceError(
            f"shot {shot.name}: no frame number in {abbreviate(unnumbered)}: expected names like x.0001.png"
        )
    found: dict[int, Path] = {}
    for frame in frames:
        assert frame.number is not None
        if frame.number in found:
            raise SourceError(
                f"shot {shot.name}: two files for {what} {frame.number}: {display.show(found[frame.number])} and "
                f"{display.show(frame.path)}"
            )
        found[frame.number] = frame.path
    return dict(sorted(found.items()))


def _check_content(shot: Shot, what: str, frames: _Numbered, content: _Numbered, display: PathDisplay) -> None:
    unmatched = [number for number in frames if number not in content]
    if unmatched:
        first, last = min(content), max(content)
        raise SourceError(
            f"shot {shot.name}: no plate has the number of {what} {_numbers(unmatched)} "
            f"({display.show(frames[unmatched[0]])}); the plates are {first} to {last}"
        )


def _numbers(numbers: list[int]) -> str:
    return abbreviate(str(number) for number in numbers)
