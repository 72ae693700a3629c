"""Names of a numbered sequence in one form, whichever program wrote the pattern: "shot.####.exr", "%04d", "$F4", ...

Nuke, Houdini, RV, ffmpeg and fileseq each write the place of the frame number in their own way. All of them become a
folder, a head, a number of digits and a tail here.
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
    "udim": (re.compile(r"<udim>|<uvtile>|%\(udim\)d", re.IGNORECASE), "UDIM tiles of a texture are no frames of film"),
    "view": (re.compile(r"%V|%v"), "one view at a time: write left or right instead of the view's place"),
}
_EXAMPLE = "write it like shot.####.exr, shot.%04d.exr or shot.$F4.exr"


@dataclass(frozen=True)
class Pattern:
    """The names of a sequence.

    Attributes:
        folder: that holds it.
        head: what comes before the number.
        tail: what comes after it, the suffix included.
        digits: of the number, padded with zeros; 0 is no padding, and when reading any.
        numbers: those that the pattern itself asks for, "shot.1-100#.exr" say; None is all.
    """

    folder: Path
    head: str
    tail: str
    digits: int
    numbers: tuple[int, ...] | None = None

    def __str__(self) -> str:
        """Written with ``#``, or ``@`` where any number of digits will do."""
        place = "@" if self.digits == 0 else "#" * self.digits
        return str(self.folder / f"{self.head}{place}{self.tail}")

    def name(self, number: int) -> str:
        """The file name of a frame; a sign comes before the padded digits: "shot.-0005.exr"."""
        sign = "-" if number < 0 else ""
        return f"{self.head}{sign}{abs(number):0{self.digits}d}{self.tail}"

    def number(self, name: str) -> int | None:
        """The frame number of a file name; None if it does not belong.

        Numbers that have outgrown the padding still belong: 9999 is followed by 10000. A sign may or may not count
        as a digit, since programs differ: "-0005" and "-005" are both 4 digits.
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
    """Whether a path's last part has a place for frame numbers."""
    name = _parts(str(text))[1]
    return _TOKEN.search(name) is not None or any(wrong.search(name) for wrong, _ in _NO_FRAMES.values())


def parse_pattern(text: str | Path) -> Pattern:
    """Takes a pattern apart.

    Args:
        text: "shot.####.exr" (``#`` alone is 4 digits, a run of n is n), "shot.%04d.exr", "shot.@@@@.exr",
            "shot.$F4.exr", ``@``, ``%d`` and ``$F`` being numbers without padding; with a range of its own as
            "shot.1-100#.exr", "shot.[0001-0100].exr" or "shot.####.exr 1-100".
    Raises:
        ValueError: no place for a number, two of them, or one of something else than frames.
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
        raise ValueError(f"{str(text)!r} is no sequence pattern: {_EXAMPLE}")
    if len(tokens) > 1:
        places = " and ".join(token[0] for token in tokens)
        raise ValueError(f"{text} has two places for a frame number, {places}: {_EXAMPLE}")
    token = tokens[0]
    frames = token["range"] or token["listed"] or frames
    numbers = tuple(parse_frame_range(frames)) if frames else None
    return Pattern(folder, name[: token.start()], name[token.end() :], _digits(token), numbers)


def _parts(text: str) -> tuple[Path, str]:
    """Folder and name; the backslashes of Windows separate too."""
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
