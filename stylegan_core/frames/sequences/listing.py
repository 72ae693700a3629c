"""Lists pictures and numbered frames: of folders, sequence patterns and frame ranges."""

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
# A minus is a sign after a dot, an underscore or a slash, or at the start; elsewhere it is a hyphen.
_NUMBER = re.compile(r"(?:(?:(?<=[._/])|^)-)?\d+", re.ASCII)
_NUMBERS = re.compile(f"({_NUMBER.pattern})", re.ASCII)
_FOREIGN = (
    *(".avif", ".bmp", ".cin", ".gif", ".hdr", ".heic", ".heif", ".iff", ".jp2", ".pic", ".psd", ".sgi", ".tga"),
    *(".arw", ".cr2", ".cr3", ".dng", ".nef", ".raf", ".mp4", ".m4v", ".mov", ".mkv", ".mxf", ".avi", ".webm"),
)
"""Suffixes of unsupported picture formats, and of movies, which are not listed with the pictures of a folder."""


@dataclass(frozen=True)
class Frame:
    """One picture of a folder or a sequence.

    Attributes:
        path: the file.
        relative: its path relative to the listed folder, which is its name in an output folder.
        number: frame number, the last run of digits in its stem; None without digits.
    """

    path: Path
    relative: Path
    number: int | None


def list_pictures(folder: Path, *, recursive: bool = True) -> list[Frame]:
    """All pictures in a folder, by suffix, in natural order ("frame.2" before "frame.10").

    Hidden files and folders such as ``.stylereel/`` are skipped, and links to a folder that contains them.

    Raises:
        FileNotFoundError: the folder does not exist.
        NotADirectoryError: it is a file.
        ValueError: it holds no picture, or one whose name is not UTF-8.
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
    """The number of files of each suffix with pictures that ``list_pictures`` does not list."""
    names = (name for _, _, names in _walk(folder) for name in names)
    visible = (Path(name).suffix.lower() for name in names if not name.startswith("."))
    return dict(sorted(Counter(suffix for suffix in visible if suffix in _FOREIGN).items()))


def list_frames(pattern_or_folder: str | Path, frames: str | None = None) -> list[Frame]:
    """The frames of a sequence pattern, of a folder, or one picture, in order of their numbers.

    Args:
        pattern_or_folder: a pattern, see ``parse_pattern``, a folder, or a picture.
        frames: a range such as "1001-1100x2,1200", all of whose frames must exist; None lists all frames.
    Raises:
        FileNotFoundError: the folder, or a frame of ``frames``, is missing.
        ValueError: no frame matches, a number occurs twice, or ``frames`` is not a range.
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
    """Sort key for natural order: "a2" before "a10", "a.-2" before "a.1"."""
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
    """The files of a sequence, in order of their numbers; missing frames of its range are skipped.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: no file matches, or a number occurs twice.
    """
    _check_folder(pattern.folder)
    numbers = None if pattern.numbers is None else set(pattern.numbers)
    found: dict[int, Frame] = {}
    for path in pattern.folder.iterdir():
        number = pattern.number(path.name)
        if number is None or (numbers is not None and number not in numbers):
            continue
        if number in found:
            raise ValueError(f"frame {number} occurs twice: {found[number].path.name} and {path.name}")
        found[number] = Frame(path, Path(path.name), number)
    if not found and numbers is None:
        raise ValueError(f"no file matches {pattern}{_hint(pattern)}")
    return [found[number] for number in sorted(found)]


def _hint(pattern: Pattern) -> str:
    """Part of the message for a pattern that matches nothing: a near match, or what the folder holds."""
    names = sorted((path.name for path in pattern.folder.iterdir() if not path.name.startswith(".")), key=natural_key)
    any_digits = replace(pattern, digits=0)
    if padded := [name for name in names if any_digits.number(name) is not None]:
        return f": {padded[0]} has another number of digits; {Path(str(any_digits)).name} matches any number"
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
                f"frame {frame.number} occurs twice: {numbered[frame.number].relative} and {frame.relative}"
            )
        numbered[frame.number] = frame
    return numbered


def _walk(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """``os.walk`` that follows links, except to a folder that contains them."""
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
        raise ValueError(f"{shown}: its name is not UTF-8, as records require: rename it") from None
