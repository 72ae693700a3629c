"""Timelines: the sequences of a job with all their existing frames, selected or not.

A frame's neighbours are those with adjacent numbers, whatever part of the shot a job makes: a preview of five frames, a
chunk and the whole shot have the same ones.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from stylegan_core.frames.movies.probe import frame_count
from stylegan_core.frames.sequences.listing import PICTURE_SUFFIXES, frame_number
from stylegan_core.inference.job.frame_task import FrameTask

_DIGITS = re.compile(r"-?\d+", re.ASCII)
_Key = tuple[str, str]


@dataclass(frozen=True)
class TimelineFrame:
    """One frame of a timeline.

    Attributes:
        input: as ``FrameTask.input``.
        index: as ``FrameTask.index``.
    """

    input: str
    index: int | None = None


@dataclass(frozen=True)
class Timeline:
    """A sequence of files, a movie, or pictures without numbers, which have no neighbours.

    Attributes:
        existing: frames by number; empty for pictures without numbers.
        frames: positions in the job, with their numbers.
    """

    existing: dict[int, TimelineFrame]
    frames: tuple[tuple[int, int | None], ...]


def timelines(frames: Sequence[FrameTask], input_folder: Path, *, reach: int) -> list[Timeline]:
    """The sequences of a job, in the order of their first frames.

    Args:
        frames: of the job.
        input_folder: what their inputs are relative to.
        reach: how many numbers before the first and after the last frame of the job are included.
    """
    members: dict[_Key | None, list[tuple[int, int | None]]] = {}
    listed: dict[str, list[str]] = {}
    candidates = [_sequences_of(frame) for frame in frames]
    shared = Counter(key for keys in candidates for key in keys)

    def sequence(keys: list[_Key]) -> _Key | None:
        # Frame 2 of "sh.2.v2.png": the number is the part that most frames of the job count by.
        if len(keys) < 2:
            return keys[0] if keys else None
        return max(keys, key=lambda key: (shared[key], len(_files(key, input_folder, listed))))

    pairs = list(zip(frames, candidates, strict=True))
    of_file = {frame.input: sequence(keys) for frame, keys in pairs if frame.missing != "black"}
    for at, (frame, keys) in enumerate(pairs):
        key = of_file[frame.input] if frame.input in of_file else sequence(keys)
        members.setdefault(key, []).append((at, None if key is None else number_of(frame)))
    found = []
    for key, numbered in members.items():
        numbers = [number for _, number in numbered if number is not None]
        existing: dict[int, TimelineFrame] = {}
        if key is not None and numbers:
            first, last = min(numbers) - reach, max(numbers) + reach
            there = [frames[at] for at, _ in numbered if frames[at].missing != "black"]
            known = {number_of(frame): TimelineFrame(frame.input, frame.index) for frame in there}
            if frames[numbered[0][0]].index is None:
                known |= _files(key, input_folder, listed)
            else:
                end = min(frame_count(input_folder / key[0]), last + 1)
                known |= {index: TimelineFrame(key[0], index) for index in range(max(0, first), end)}
            in_range = sorted(number for number in known if number is not None and first <= number <= last)
            existing = {number: known[number] for number in in_range}
        found.append(Timeline(existing, tuple(numbered)))
    return found


def number_of(frame: FrameTask) -> int | None:
    """The number of a frame on its timeline: its index in a movie, or the number in its file's name."""
    if frame.index is not None:
        return frame.index
    return frame.number if frame.number is not None else frame_number(Path(frame.input))


def _sequences_of(frame: FrameTask) -> list[_Key]:
    """Folder and name without its number, for each part that may be it, the last first; none: it has no number.

    Of a movie's frame, the movie's path and an empty text.
    """
    if frame.index is not None:
        return [(frame.input, "")]
    path = PurePosixPath(frame.input)
    # The input of a black frame is a neighbour, whose number its name has.
    number = frame_number(Path(path)) if frame.missing == "black" else number_of(frame)
    return [] if number is None else [(path.parent.as_posix(), name) for name in _without_number(path.name, number)]


def _without_number(name: str, number: int) -> list[str]:
    """A name with a run of digits that is ``number`` replaced, whatever its padding; the last run first.

    The name itself, if it has no such run.
    """
    found = []
    for run in reversed(list(_DIGITS.finditer(name))):
        text = run.group()
        for start, digits in ((run.start(), text), (run.start() + text.startswith("-"), text.lstrip("-"))):
            if int(digits) == number:
                found.append(f"{name[:start]}#{name[run.end() :]}")
                break
    return found or [name]


def _files(key: tuple[str, str], input_folder: Path, listed: dict[str, list[str]]) -> dict[int | None, TimelineFrame]:
    folder, name = key
    if folder not in listed:
        path = input_folder / folder
        names = [entry.name for entry in path.iterdir()] if path.is_dir() else []
        listed[folder] = sorted(n for n in names if PurePosixPath(n).suffix.lower() in PICTURE_SUFFIXES)
    prefix, _, suffix = name.partition("#")
    found: dict[int | None, TimelineFrame] = {}
    for candidate in listed[folder]:
        middle = candidate[len(prefix) : len(candidate) - len(suffix)]
        if candidate.startswith(prefix) and candidate.endswith(suffix) and _DIGITS.fullmatch(middle):
            found[int(middle)] = TimelineFrame((PurePosixPath(folder) / candidate).as_posix())
    return found
