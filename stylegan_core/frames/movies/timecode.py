"""Timecode arithmetic (SMPTE ST 12-1)."""

from __future__ import annotations

import re
from fractions import Fraction


def later_timecode(timecode: str, frames: int, rate: Fraction) -> str:
    """The timecode ``frames`` frames later; drop-frame timecodes (a semicolon before the frames) stay drop-frame.

    Args:
        timecode: "01:00:00:00" or "01:00:00;00".
        frames: number of frames, 0 or more.
        rate: frames a second.

    Returns:
        The new timecode, which wraps around after a day; a string that is not a timecode is returned unchanged.
    """
    match = re.fullmatch(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d)", timecode.strip())
    if match is None or frames == 0:
        return timecode
    hours, minutes, seconds, frame = (int(match[part]) for part in (1, 2, 3, 5))
    second = round(rate)
    dropped = second // 15 if match[4] in ";." and second % 30 == 0 else 0  # a minute, except every tenth
    minute, ten_minutes = 60 * second - dropped, 600 * second - 9 * dropped
    passed = hours * 60 + minutes
    count = (passed * 60 + seconds) * second + frame - dropped * (passed - passed // 10)
    tens, rest = divmod((count + frames) % (144 * ten_minutes), ten_minutes)
    extra = (rest - dropped) // minute if rest >= dropped else 0
    number = tens * 600 * second + rest + dropped * extra
    number, frame = divmod(number, second)
    number, seconds = divmod(number, 60)
    hours, minutes = divmod(number, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{match[4]}{frame:02d}"
