"""HDR metadata of movie frames: mastering display (SMPTE ST 2086) and content light level (CTA-861.3).

PyAV returns FFmpeg's structures as bytes; the encoders take text in x265's notation.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from fractions import Fraction

from av.sidedata.sidedata import SideData, Type

_CHROMATICITY, _LUMINANCE = 50_000, 10_000  # units of a step
_UNSUPPORTED = {
    Type.A53_CC: "closed captions",
    Type.DYNAMIC_HDR_PLUS: "HDR10+ metadata",
    Type.DOVI_RPU_BUFFER: "Dolby Vision metadata",
    Type.DOVI_METADATA: "Dolby Vision metadata",
}


def hdr_of(side_data: Iterable[SideData]) -> dict[str, str]:
    """Mastering display ("master-display") and light level ("max-cll") in x265's notation, where present."""
    found = {}
    for data in side_data:
        if data.type is Type.MASTERING_DISPLAY_METADATA and (text := _display(bytes(data))) is not None:
            found["master-display"] = text
        elif data.type is Type.CONTENT_LIGHT_LEVEL:
            found["max-cll"] = "{},{}".format(*struct.unpack_from("=2I", bytes(data)))
    return found


def unsupported_metadata(side_data: Iterable[SideData]) -> tuple[str, ...]:
    """Names of the kinds of frame metadata that cannot be kept."""
    return tuple(sorted({_UNSUPPORTED[data.type] for data in side_data if data.type in _UNSUPPORTED}))


def encoder_options(codec: str, hdr: dict[str, str]) -> str:
    """The value of "x264-params" or "x265-params"; empty without HDR metadata.

    Args:
        codec: "h264" or "hevc".
        hdr: from ``hdr_of``.
    """
    names = {"master-display": "mastering-display", "max-cll": "cll"} if codec == "h264" else {}
    return ":".join(f"{names.get(name, name)}={text}" for name, text in hdr.items())


def _display(structure: bytes) -> str | None:
    """The mastering display; None if its primaries or its luminance are missing.

    The structure holds red, green, blue, the white point, least and most luminance, and two flags of presence.
    """
    numbers = struct.unpack_from("=20i2i", structure)
    ratios = [Fraction(n, d) if d else Fraction(0) for n, d in zip(numbers[:20:2], numbers[1:20:2], strict=True)]
    if not (numbers[20] and numbers[21]):
        return None
    steps = [round(ratio * _CHROMATICITY) for ratio in ratios[:8]]
    red, green, blue, white = ("({},{})".format(*steps[at : at + 2]) for at in (0, 2, 4, 6))
    least, most = (round(ratio * _LUMINANCE) for ratio in ratios[8:])
    return f"G{green}B{blue}R{red}WP{white}L({most},{least})"
