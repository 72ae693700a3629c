"""Frames that a numbered sequence lacks: refused, left out, held or black."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stylegan_core.frames.sequences.frame_range import describe_gaps, usual_step
from stylegan_core.frames.sequences.listing import Frame, frame_number
from stylegan_core.frames.sequences.pattern import Pattern
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import PlanError

Rule = Literal["error", "skip", "hold", "black"]
_DONE = {"skip": "left out", "hold": "held from the frame before", "black": "made black"}

_LAST_NUMBER = re.compile(r"^(?P<head>.*?)(?P<sign>(?:(?<=[._])|^)-)?(?P<digits>\d+)(?P<tail>\D*)$", re.ASCII)


@dataclass(frozen=True)
class FrameSequence:
    """A sequence: pictures of one folder whose names differ in their numbers alone.

    Attributes:
        pattern: of the names, its folder relative to the one that was listed.
        frames: those that are there, by number, in order.
    """

    pattern: Pattern
    frames: dict[int, Frame]

    def wanted(self, asked: Sequence[int] | None) -> list[int]:
        """The numbers that should be there: those that were asked for, else from the first to the last."""
        if asked is not None:
            return list(asked)
        there = list(self.frames)
        return list(range(there[0], there[-1] + 1, usual_step(there)))

    def name(self, number: int) -> str:
        """Of a frame, there or not, below the folder that was listed."""
        there = self.frames.get(number)
        return (there.relative if there is not None else self.pattern.folder / self.pattern.name(number)).as_posix()

    def job_frame(self, number: int, rule: Rule, output: str | None = None) -> FrameTask:
        """The frame of a number, made of its neighbour where it is missing.

        Args:
            number: of the frame.
            rule: "hold": its neighbour's stylized picture, of the frame before it or else of the first after it;
                "black": a black picture that is otherwise like that neighbour.
            output: its name; default: the sequence's own.
        """
        if (there := self.frames.get(number)) is not None:
            return FrameTask(input=there.relative.as_posix(), output=output or self.name(number), number=number)
        neighbour = max((n for n in self.frames if n < number), default=next(iter(self.frames)))
        relative, output = self.frames[neighbour].relative.as_posix(), output or self.name(number)
        if rule == "hold":  # it is made as its neighbour is, so it has its number too
            return FrameTask(input=relative, output=output, number=neighbour, missing="hold")
        return FrameTask(input=relative, output=output, number=number, missing="black")


def sequences(frames: Sequence[Frame]) -> list[FrameSequence]:
    """Frames with numbers, each with those that it makes a sequence with, in order of the first of each."""
    grouped: dict[tuple[Path, str, str], dict[int, tuple[Frame, str]]] = {}
    for frame in frames:
        match = _LAST_NUMBER.match(frame.relative.stem)
        if match is None:
            continue
        key = (frame.relative.parent, match["head"], match["tail"] + frame.relative.suffix)
        number = int((match["sign"] or "") + match["digits"])
        others = grouped.setdefault(key, {})
        if number in others:
            raise PlanError(f"frame {number} is there twice: {others[number][0].relative} and {frame.relative}")
        others[number] = (frame, match["digits"])
    found = []
    for (folder, head, tail), members in grouped.items():
        pattern = Pattern(folder, head, tail, _padding([digits for _, digits in members.values()]))
        found.append(FrameSequence(pattern, {number: members[number][0] for number in sorted(members)}))
    return found


def describe_missing(sequence: FrameSequence, wanted: Sequence[int], rule: Rule) -> str | None:
    """What a person should hear of a sequence's gaps: None if it has none.

    Raises:
        PlanError: the rule is "error" and there are some; names them.
    """
    if all(number in sequence.frames for number in wanted):
        return None
    there = f"{sequence.pattern}: {describe_gaps([n for n in wanted if n in sequence.frames], wanted)}"
    if rule == "error":
        held = list(sequence.frames)
        raise PlanError(f"{there}; it has {held[0]} to {held[-1]}. --missing skip, hold or black goes on without them")
    return f"{there}: {_DONE[rule]}"


def describe_gaps_of(names: Sequence[str]) -> list[str]:
    """Gaps in a folder that looks like sequences of frames: photographs, whose numbers are far apart, have none.

    Args:
        names: of its pictures, relative to it.
    """
    frames = [Frame(path, path, frame_number(path)) for path in map(Path, names)]
    try:
        found = sequences(frames)
    except PlanError:
        return []
    likely = [shot for shot in found if len(shot.frames) > 2 and len(shot.wanted(None)) < 2 * len(shot.frames)]
    told = (describe_missing(shot, shot.wanted(None), "skip") for shot in likely)
    return [note for note in told if note is not None]


def _padding(digits: Sequence[str]) -> int:
    """0 where numbers are not padded: their lengths differ and none begins with a zero."""
    padded = [len(text) for text in digits if text.startswith("0") and len(text) > 1]
    lengths = {len(text) for text in digits}
    return min(padded) if padded else lengths.pop() if len(lengths) == 1 and len(digits) > 1 else 0
