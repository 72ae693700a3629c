"""Timecodes count as a counter that leaves out the numbers that drop-frame leaves out."""

from __future__ import annotations

from fractions import Fraction

import pytest

from stylegan_core.frames.movies.timecode import later_timecode


def counted(rate: int, dropped: int, sign: str, minutes: int):
    """All timecodes of the first minutes, by writing them down."""
    for minute in range(minutes):
        for second in range(60):
            for frame in range(rate):
                if second == 0 and frame < dropped and minute % 10:
                    continue
                yield f"{minute // 60:02d}:{minute % 60:02d}:{second:02d}{sign}{frame:02d}"


@pytest.mark.parametrize(
    ("rate", "dropped", "sign"),
    [(Fraction(30000, 1001), 2, ";"), (Fraction(60000, 1001), 4, ";"), (Fraction(30000, 1001), 0, ":"),
     (Fraction(24), 0, ":"), (Fraction(25), 0, ":")],
)  # fmt: skip
def test_every_number_of_seventy_minutes(rate, dropped, sign):
    known = list(counted(round(rate), dropped, sign, 71))
    for start in (0, 1, 1799, 17_981, 17_982, 30_000):
        for frames in (0, 1, 2, 29, 1798, 1800, 17_982, 60_000):
            assert later_timecode(known[start], frames, rate) == known[start + frames]


def test_a_day_ends_and_what_is_none_stays():
    assert later_timecode("23:59:59:23", 1, Fraction(24)) == "00:00:00:00"
    assert later_timecode("23:59:59;29", 1, Fraction(30000, 1001)) == "00:00:00;00"
    assert later_timecode("none", 5, Fraction(24)) == "none"
