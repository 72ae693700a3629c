"""Finds pictures and numbered frames: folders, sequence patterns, frame ranges, and which frame belongs to which."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stylegan_core.frames.base.sniff import SUFFIX_FORMATS
from stylegan_core.frames.sequences.frame_range import parse_frame_range, write_frame_range
from stylegan_core.frames.sequences.pattern import Pattern, is_pattern, parse_pattern

PICTURE_SUFFIXES = tuple(SUFFIX_FORMATS)
# A minus is a sign after a dot, an underscore or a slash, or at the start; between words it is a hyphen.
_NUMBER = re.compile(r"(?:(?:(?<=[._/])|^)-)?\d+", re.ASCII)
_NUMBERS = re.compile(f"({_NUMBER.pattern})", re.ASCII)
_FOREIGN = (
    *(".avif", ".bmp", ".cin", ".gif", ".hdr", ".heic", ".heif", ".iff", ".jp2", ".pic", ".psd", ".sgi", ".tga"),
    *(".arw", ".cr2", ".cr3", ".dng", ".nef", ".raf", ".mp4", ".m4v", ".mov", ".mkv", ".mxf", ".avi", ".webm"),
)
"""Pictures that are not read, and movies, which are no pictures of a folder."""


@dataclass(frozen=True)
class Frame:
    """One picture of a folder or a sequence.

    Attributes:
        path: the file.
        relative: its path below the folder that was listed, which is its name in an output folder.
        number: the last run of digits in its stem, its frame number; None if there is none.
    """

    path: Path
    relative: Path
    number: int | None


def list_pictures(folder: Path, *, recursive: bool = True) -> list[Frame]:
    """All pictures in a folder, by suffix, in natural order ("frame.2" before "frame.10").

    Hidden files and folders, ``.stylereel/`` among them, are skipped, and links to folders that hold them.

    Raises:
        FileNotFoundError: there is no such folder.
        NotADirectoryError: it is a file.
        ValueError: it holds no picture, and what it holds instead; or one whose name is not UTF-8.
    """
    _check_folder(folder)
    found, others = [], Counter[str]()
    for root, folders, names in _walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if recursive else []
        for name in names:
            path = Path(root, name)
            if name.startswith("."):
                continue
            if path.suffix.lower() in PICTURE_SUFFIXES:
                _refuse_undecodable(path)
                found.append(Frame(path, path.relative_to(folder), frame_number(path)))
            else:
                others[path.suffix.lower() or "no suffix"] += 1
    if not found:
        held = ", ".join(f"{count} x {suffix}" for suffix, count in others.most_common(5)) or "nothing"
        raise ValueError(f"{folder} holds no picture ({', '.join(PICTURE_SUFFIXES)}); it holds {held}")
    return sorted(found, key=lambda frame: natural_key(frame.relative.as_posix()))


def foreign_pictures(folder: Path) -> dict[str, int]:
    """How many files of each suffix ``list_pictures`` leaves out of a folder though they hold pictures."""
    names = (name for _, _, names in _walk(folder) for name in names)
    visible = (Path(name).suffix.lower() for name in names if not name.startswith("."))
    return dict(sorted(Counter(suffix for suffix in visible if suffix in _FOREIGN).items()))


def list_frames(pattern_or_folder: str | Path, frames: str | None = None) -> list[Frame]:
    """The frames of a sequence pattern, of a folder, or one picture, in order of their numbers.

    Args:
        pattern_or_folder: a pattern as ``parse_pattern`` takes it, a folder, or a picture.
        frames: a range like "1001-1100x2,1200": only these; each must be there.
    Raises:
        FileNotFoundError: the folder, or a frame that ``frames`` asks for, is missing.
        ValueError: no frame matches, a number is there twice, or ``frames`` is no range.
    """
    path = Path(pattern_or_folder)
    if path.is_dir():
        found = list_pictures(path, recursive=False)
        if frames is None:
            return found
    elif path.is_file():
        found = [Frame(path, Path(path.name), frame_number(path))]
    else:
        if not is_pattern(pattern_or_folder):
            raise FileNotFoundError(f"there is no file or folder {pattern_or_folder}")
        found = _complete(parse_pattern(pattern_or_folder))
    return found if frames is None else _select(found, frames, str(pattern_or_folder))


def frame_number(path: Path) -> int | None:
    """The last run of digits in the stem: "shot010.v2.0007.png" is 7, "shot.-0005.exr" -5; None without digits."""
    runs = _NUMBER.findall(path.stem)
    return int(runs[-1]) if runs else None


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key in which numbers count as numbers: "a2" before "a10", "a.-2" before "a.1"."""
    parts = _NUMBERS.split(text)  # every other one is a number
    keys = ((1, int(part), "") if at % 2 else (0, 0, part) for at, part in enumerate(parts))
    # The text itself breaks ties such as "01" and "1", so that the order never depends on the file system.
    return (*keys, (0, 0, text))


def _check_folder(folder: Path) -> None:
    if not folder.exists():
        raise FileNotFoundError(f"there is no folder {folder}")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file, not a folder")


def match_pattern(pattern: Pattern) -> list[Frame]:
    """The files of a sequence, in order of their numbers; those of its range that are missing are left out.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: no file matches, or a number is there twice.
    """
    _check_folder(pattern.folder)
    wanted = None if pattern.numbers is None else set(pattern.numbers)
    found: dict[int, Frame] = {}
    for path in pattern.folder.iterdir():
        number = pattern.number(path.name)
        if number is None or (wanted is not None and number not in wanted):
            continue
        if number in found:
            raise ValueError(f"frame {number} is there twice: {found[number].path.name} and {path.name}")
        found[number] = Frame(path, Path(path.name), number)
    if not found and wanted is None:
        raise ValueError(f"no file matches {pattern}{_but_there_is(pattern)}")
    return [found[number] for number in sorted(found)]


def _but_there_is(pattern: Pattern) -> str:
    """What a pattern that matches nothing may have meant, for a message."""
    names = sorted((path.name for path in pattern.folder.iterdir() if not path.name.startswith(".")), key=natural_key)
    any_digits = replace(pattern, digits=0)
    if padded := [name for name in names if any_digits.number(name) is not None]:
        return f": {padded[0]} has another number of digits; {Path(str(any_digits)).name} takes any"
    more = " ..." if len(names) > 3 else ""
    return f": the folder holds {', '.join(names[:3]) or 'nothing'}{more}"


def _complete(pattern: Pattern) -> list[Frame]:
    found = match_pattern(pattern)
    if missing := sorted(set(pattern.numbers or ()) - {frame.number for frame in found}):
        raise FileNotFoundError(f"{pattern}: no file for frame {write_frame_range(missing)}")
    return found


def _select(found: Sequence[Frame], frames: str, where: str) -> list[Frame]:
    numbers = parse_frame_range(frames)
    by_number = _by_number(found)
    if missing := [number for number in numbers if number not in by_number]:
        held = f"{min(by_number)} to {max(by_number)}" if by_number else "none"
        raise FileNotFoundError(f"{where} has no frame {write_frame_range(missing)}; frames there: {held}")
    return [by_number[number] for number in numbers]


def _by_number(frames: Iterable[Frame]) -> dict[int, Frame]:
    numbered: dict[int, Frame] = {}
    for frame in frames:
        if frame.number is None:
            raise ValueError(f"{frame.path.name} has no frame number in its name")
        if frame.number in numbered:
            raise ValueError(
                f"frame {frame.number} is there twice: {numbered[frame.number].relative} and {frame.relative}"
            )
        numbered[frame.number] = frame
    return numbered


def _walk(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """``os.walk`` through links, but into no folder that it is in already."""
    above: dict[str, frozenset[str]] = {}
    for root, folders, names in os.walk(folder, followlinks=True):
        here = above.get(str(Path(root)), frozenset()) | {os.path.realpath(root)}
        folders[:] = [name for name in folders if os.path.realpath(Path(root, name)) not in here]
        above |= {str(Path(root, name)): here for name in folders}
        yield root, folders, names


def _refuse_undecodable(path: Path) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise ValueError(f"{shown}: its name is not UTF-8, which records are written in: rename it") from None
