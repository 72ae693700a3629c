"""Sequence patterns of all common notations: "shot.####.exr", "%04d", "$F4", ...

Nuke, Houdini, RV, FFmpeg and fileseq each have a notation for the frame number. All are parsed into a folder, a head, a
number of digits and a tail.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from stylegan_core.frames.sequences.frame_range import parse_frame_range

_RANGE = r"-?\d+-+\d+(?:x\d+)?(?:,-?\d+(?:-+\d+(?:x\d+)?)?)*"
_TOKEN = re.compile(
    rf"""(?P<range>(?: (?:(?<=[._])|^)(?=-) | (?<!\d)(?=\d) ){_RANGE})?
    (?: %0?(?P<printf>\d*)d | \$F(?P<houdini>\d*)(?!\w) | \$\{{F(?P<braced>\d*)\}} | (?P<hashes>\#+) | (?P<ats>@+) )
    | \[(?P<listed>-?\d+-+\d+(?:x\d+)?)\]""",
    re.VERBOSE,
)
_AFTER = re.compile(rf"^(?P<pattern>.*\S)\s+(?P<range>{_RANGE})$")
_NO_FRAMES = {
    "udim": (re.compile(r"<udim>|<uvtile>|%\(udim\)d", re.IGNORECASE), "UDIM tiles of a texture are not frames"),
    "view": (re.compile(r"%V|%v"), "use one view at a time: write left or right instead of the placeholder"),
}
_EXAMPLE = "write it like shot.####.exr, shot.%04d.exr or shot.$F4.exr"


@dataclass(frozen=True)
class Pattern:
    """A parsed sequence pattern.

    Attributes:
        folder: of the frames.
        head: part of the name before the number.
        tail: part after the number, including the suffix.
        digits: number of digits, padded with zeros; 0 is no padding when writing, any number of digits when reading.
        numbers: range in the pattern, such as "shot.1-100#.exr"; None is all.
    """

    folder: Path
    head: str
    tail: str
    digits: int
    numbers: tuple[int, ...] | None = None

    def __str__(self) -> str:
        """The pattern in the notation of ``#``, or ``@`` for any number of digits."""
        place = "@" if self.digits == 0 else "#" * self.digits
        return str(self.folder / f"{self.head}{place}{self.tail}")

    def name(self, number: int) -> str:
        """The file name of a frame; a minus precedes the padded digits: "shot.-0005.exr"."""
        sign = "-" if number < 0 else ""
        return f"{self.head}{sign}{abs(number):0{self.digits}d}{self.tail}"

    def number(self, name: str) -> int | None:
        """The frame number of a file name; None if the name does not match.

        Numbers that exceed the padding match: 9999 is followed by 10000. A minus may or may not count as a digit,
        since programs differ: both "-0005" and "-005" match 4 digits.
        """
        if not (name.startswith(self.head) and name.endswith(self.tail)):
            return None
        text = name[len(self.head) : len(name) - len(self.tail)]
        if len(name) <= len(self.head) + len(self.tail) or not re.fullmatch(r"-?\d+", text, re.ASCII):
            return None
        unsigned = text.removeprefix("-")
        outgrown = len(unsigned) > self.digits and not unsigned.startswith("0")
        if self.digits and not outgrown and self.digits not in (len(text), len(unsigned)):
            return None
        return int(text)


def is_pattern(text: str | Path) -> bool:
    """Whether the last part of a path has a placeholder for frame numbers."""
    name = _parts(str(text))[1]
    return _TOKEN.search(name) is not None or any(wrong.search(name) for wrong, _ in _NO_FRAMES.values())


def parse_pattern(text: str | Path) -> Pattern:
    """Parses a pattern.

    Args:
        text: "shot.####.exr" (``#`` alone is 4 digits, a run of n is n), "shot.%04d.exr", "shot.@@@@.exr",
            "shot.$F4.exr"; ``@``, ``%d`` and ``$F`` are numbers without padding. It may contain a range, as in
            "shot.1-100#.exr", "shot.[0001-0100].exr" or "shot.####.exr 1-100".
    Raises:
        ValueError: no placeholder, two of them, or one that does not stand for frames.
    """
    folder, name = _parts(str(text))
    for wrong, reason in _NO_FRAMES.values():
        if wrong.search(name):
            raise ValueError(f"{text}: {reason}")
    frames = None
    if (after := _AFTER.match(name)) and _TOKEN.search(after["pattern"]):
        name, frames = after["pattern"], after["range"]
    tokens = list(_TOKEN.finditer(name))
    if not tokens:
        raise ValueError(f"{str(text)!r} is not a sequence pattern: {_EXAMPLE}")
    if len(tokens) > 1:
        places = " and ".join(token[0] for token in tokens)
        raise ValueError(f"{text} has two placeholders for a frame number, {places}: {_EXAMPLE}")
    token = tokens[0]
    frames = token["range"] or token["listed"] or frames
    numbers = tuple(parse_frame_range(frames)) if frames else None
    return Pattern(folder, name[: token.start()], name[token.end() :], _digits(token), numbers)


def _parts(text: str) -> tuple[Path, str]:
    """Folder and name; backslashes of Windows separate, too."""
    if os.sep == "/" and "\\" in text:
        text = text.replace("\\", "/")
    return Path(text).parent, Path(text).name


def _digits(token: re.Match[str]) -> int:
    if token["hashes"]:
        return 4 if token["hashes"] == "#" else len(token["hashes"])  # as in Nuke and in fileseq
    if token["ats"]:
        return 0 if token["ats"] == "@" else len(token["ats"])
    if token["listed"]:
        first, last = re.fullmatch(r"-?(\d+)-+(\d+).*", token["listed"]).groups()  # type: ignore[union-attr]
        return len(first) if len(first) == len(last) or first.startswith("0") else 0
    return int(token["printf"] or token["houdini"] or token["braced"] or 0)
