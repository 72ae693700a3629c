"""Extra channels of a TIFF (masks, spot colours): removed from the picture, and put back on writing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]
_MOST_IN_A_PICTURE = 4


@dataclass(frozen=True, eq=False)
class OtherChannels:
    """The extra channels, which pass through.

    Attributes:
        pixels: (H, W, K), upright.
        names: of all channels of the file, in file order.
        own: indices of the picture's channels in that order, alpha last.
    """

    pixels: Pixels
    names: tuple[str, ...]
    own: tuple[int, ...]

    @property
    def rest(self) -> tuple[int, ...]:
        """Indices of the extra channels in file order."""
        return tuple(index for index in range(len(self.names)) if index not in self.own)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the extra channels."""
        return tuple(self.names[index] for index in self.rest)


def split_channels(pixels: Pixels, names: Sequence[str], alpha: int) -> tuple[Pixels, OtherChannels | None]:
    """Splits the channels of a file into picture and extra channels.

    Args:
        pixels: (H, W, N) as stored.
        names: of the channels.
        alpha: index of alpha, -1 if there is none.
    Returns:
        (H, W, 1 to 4), alpha last, and the extra channels if there are any. Three colours and one channel of unknown
        meaning stay together.
    """
    count = pixels.shape[2]
    colours = 3 if tuple(names[:3]) == ("R", "G", "B") else 1
    own = (*range(colours), *((alpha,) if alpha >= colours else ()))
    if len(own) == count or (alpha < 0 and colours == 3 and count == _MOST_IN_A_PICTURE):
        return pixels, None
    other = OtherChannels(pixels[..., [i for i in range(count) if i not in own]], tuple(names), own)
    return np.ascontiguousarray(pixels[..., own]), other


def join_channels(pixels: Pixels, other: OtherChannels | None) -> Pixels | None:
    """All channels in file order; None if the picture's size, type or number of channels has changed."""
    if other is None or pixels.shape[:2] != other.pixels.shape[:2] or pixels.dtype != other.pixels.dtype:
        return None
    if pixels.shape[2] != len(other.own):
        return None
    whole = np.empty((*pixels.shape[:2], len(other.names)), pixels.dtype)
    whole[..., other.own] = pixels
    whole[..., other.rest] = other.pixels
    return whole
