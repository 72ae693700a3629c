"""Missing frames of numbered sequences: an error, skipped, held or black."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stylegan_core.frames.sequences.frame_range import describe_gaps, usual_step
from stylegan_core.frames.sequences.listing import Frame, frame_number
from stylegan_core.frames.sequences.pattern import Pattern
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.planning.request import MissingRule

_OUTCOMES = {"skip": "skipped", "hold": "held from the frame before", "black": "black"}

_LAST_NUMBER = re.compile(r"^(?P<head>.*?)(?P<sign>(?:(?<=[._])|^)-)?(?P<digits>\d+)(?P<tail>\D*)$", re.ASCII)


@dataclass(frozen=True)
class FrameSequence:
    """A sequence: pictures of one folder whose names differ in their numbers alone.

    Attributes:
        pattern: of the names, its folder relative to the one that was listed.
        frames: the existing ones, by number, in order.
    """

    pattern: Pattern
    frames: dict[int, Frame]

    def expected(self, numbers: Sequence[int] | None) -> list[int]:
        """The numbers that the sequence should have: ``numbers``, else all from the first to the last."""
        if numbers is not None:
            return list(numbers)
        existing = list(self.frames)
        return list(range(existing[0], existing[-1] + 1, usual_step(existing)))

    def name(self, number: int) -> str:
        """The path of a frame, existing or not, below the folder that was listed."""
        frame = self.frames.get(number)
        return (frame.relative if frame is not None else self.pattern.folder / self.pattern.name(number)).as_posix()

    def task(self, number: int, rule: MissingRule, output: str) -> FrameTask:
        """The task for a number; a missing frame is made of its neighbour.

        Args:
            number: of the frame.
            rule: "hold" repeats its neighbour's stylized picture, of the frame before it or else of the first after it;
                "black" gives a black picture that is otherwise like that neighbour.
            output: its name.
        """
        if (frame := self.frames.get(number)) is not None:
            return FrameTask(input=frame.relative.as_posix(), output=output, number=number)
        neighbour = max((n for n in self.frames if n < number), default=next(iter(self.frames)))
        relative = self.frames[neighbour].relative.as_posix()
        if rule == "hold":  # it is made as its neighbour is, so it has its number too
            return FrameTask(input=relative, output=output, number=neighbour, missing="hold")
        return FrameTask(input=relative, output=output, number=number, missing="black")


def sequences(frames: Sequence[Frame]) -> list[FrameSequence]:
    """Frames with numbers, grouped into sequences, in the order of the first frame of each."""
    grouped: dict[tuple[Path, str, str], dict[int, tuple[Frame, str]]] = {}
    for frame in frames:
        match = _LAST_NUMBER.match(frame.relative.stem)
        if match is None:
            continue
        key = (frame.relative.parent, match["head"], match["tail"] + frame.relative.suffix)
        number = int((match["sign"] or "") + match["digits"])
        members = grouped.setdefault(key, {})
        if number in members:
            raise PlanError(f"frame {number} exists twice: {members[number][0].relative} and {frame.relative}")
        members[number] = (frame, match["digits"])
    found = []
    for (folder, head, tail), members in grouped.items():
        pattern = Pattern(folder, head, tail, _padding([digits for _, digits in members.values()]))
        found.append(FrameSequence(pattern, {number: members[number][0] for number in sorted(members)}))
    return found


def describe_missing(sequence: FrameSequence, expected: Sequence[int], rule: MissingRule) -> str | None:
    """A note on a sequence's gaps; None if it has none.

    Raises:
        PlanError: the rule is "error" and there are some; names them.
    """
    if all(number in sequence.frames for number in expected):
        return None
    gaps = f"{sequence.pattern}: {describe_gaps([n for n in expected if n in sequence.frames], expected)}"
    if rule == "error":
        first, last = min(sequence.frames), max(sequence.frames)
        raise PlanError(f"{gaps}; it has {first} to {last}: pass --missing skip, hold or black to accept gaps")
    return f"{gaps}: {_OUTCOMES[rule]}"


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
    likely = [shot for shot in found if len(shot.frames) > 2 and len(shot.expected(None)) < 2 * len(shot.frames)]
    notes = (describe_missing(shot, shot.expected(None), "skip") for shot in likely)
    return [note for note in notes if note is not None]


def _padding(digits: Sequence[str]) -> int:
    """0 where numbers are not padded: their lengths differ and none begins with a zero."""
    padded = [len(text) for text in digits if text.startswith("0") and len(text) > 1]
    lengths = {len(text) for text in digits}
    return min(padded) if padded else lengths.pop() if len(lengths) == 1 and len(digits) > 1 else 0
