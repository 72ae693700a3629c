"""Frame ranges such as "1001-1100x2,1200": parsed, written, and described with their gaps."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

import fileseq

_MAX_FRAMES = 10_000_000


def parse_frame_range(text: str) -> list[int]:
    """Frame numbers of a range: "1001-1100x2,1200" is 1001, 1003, ... 1099, 1200, each once, in the order written.

    Raises:
        ValueError: not a range; the message shows the form.
    """
    example = "write it like 1001-1100, 1001-1100x2 or 1,5,10-20"
    for part in text.split(","):
        match = re.fullmatch(r"\s*(-?\d+)\s*(?:-\s*(-?\d+)\s*(?:[xX]\s*(\d+))?)?\s*", part)
        if match is None or match[3] == "0":
            raise ValueError(f"{text!r} is not a frame range: {example}")
        if match[2] is not None and abs(int(match[2]) - int(match[1])) > _MAX_FRAMES:
            raise ValueError(f"{text!r} has more than {_MAX_FRAMES} frames: {example}")
    try:
        return [int(number) for number in fileseq.FrameSet(re.sub(r"\s", "", text).replace("X", "x"))]
    except fileseq.ParseException as error:
        raise ValueError(f"{text!r} is not a frame range: {example}") from error


def write_frame_range(numbers: Iterable[int]) -> str:
    """The range of ascending frame numbers, as ``parse_frame_range`` reads it: "1001-1100x2, 1200"."""
    return str(fileseq.framesToFrameRange(sorted(set(numbers)))).replace(",", ", ")


def usual_step(numbers: Sequence[int]) -> int:
    """The step of ascending frame numbers, despite gaps: 2 for a shot on twos; 1 for fewer than three numbers."""
    return math.gcd(*(after - before for before, after in pairwise(numbers))) if len(numbers) > 2 else 1


def describe_gaps(numbers: Iterable[int], wanted: Iterable[int] | None = None) -> str:
    """A range and its gaps: "frames 1001-1100, missing 1013, 1040-1042 (4 of 100)".

    Args:
        numbers: existing frames, at least one.
        wanted: expected frames; default: from the first to the last, by their step.
    """
    existing = sorted(set(numbers))
    expected = sorted(set(wanted if wanted is not None else range(existing[0], existing[-1] + 1, usual_step(existing))))
    missing = sorted(set(expected) - set(existing))
    word = "frame" if len(expected) == 1 else "frames"
    described = f"{word} {write_frame_range(expected)}"
    if missing:
        described += f", missing {write_frame_range(missing)} ({len(missing)} of {len(expected)})"
    return described
