"""The planes of a decoded movie frame, as stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
from numpy.typing import NDArray

Plane = NDArray[Any]


@dataclass(frozen=True)
class FramePlanes:
    """A decoded movie frame in its own pixel format.

    Attributes:
        pix_fmt: FFmpeg's name of a planar format.
        planes: (h, w) uint8 or uint16 each: Y, Cb, Cr or G, B, R, and alpha last where there is one.
        matrix: "bt709", "bt601", "bt2020" or "smpte240m"; meaningless for RGB.
        full_range: whether codes span all of the depth.
        rgb: (H, W, 3) uint8 or uint16, the picture for the model, without alpha.
    """

    pix_fmt: str
    planes: tuple[Plane, ...]
    matrix: str
    full_range: bool
    rgb: Plane

    @property
    def bits(self) -> int:
        """Bits a sample."""
        return bits_of(self.pix_fmt)


def bits_of(pix_fmt: str) -> int:
    """Bits a sample of a planar pixel format."""
    return int(av.VideoFormat(pix_fmt).components[0].bits)
