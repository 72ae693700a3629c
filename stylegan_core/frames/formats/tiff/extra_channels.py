"""Channels of a TIFF beside its colours and its alpha (masks, spot colours): taken out, and put back."""

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
    """What passes through.

    Attributes:
        pixels: (H, W, K), upright.
        names: of all channels of the file, in its order.
        own: where in that order the picture's channels are, alpha last.
    """

    pixels: Pixels
    names: tuple[str, ...]
    own: tuple[int, ...]

    @property
    def rest(self) -> tuple[int, ...]:
        """Where in the file's order the other channels are."""
        return tuple(index for index in range(len(self.names)) if index not in self.own)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the other channels."""
        return tuple(self.names[index] for index in self.rest)


def take_out(pixels: Pixels, names: Sequence[str], alpha: int) -> tuple[Pixels, OtherChannels | None]:
    """Splits a file's channels.

    Args:
        pixels: (H, W, N) as stored.
        names: of the channels.
        alpha: index of alpha, -1 if there is none.
    Returns:
        (H, W, 1 to 4), alpha last, and the other channels if there are any. Three colours and one channel of unknown
        meaning stay together.
    """
    count = pixels.shape[2]
    colours = 3 if tuple(names[:3]) == ("R", "G", "B") else 1
    own = (*range(colours), *((alpha,) if alpha >= colours else ()))
    if len(own) == count or (alpha < 0 and colours == 3 and count == _MOST_IN_A_PICTURE):
        return pixels, None
    other = OtherChannels(pixels[..., [i for i in range(count) if i not in own]], tuple(names), own)
    return np.ascontiguousarray(pixels[..., own]), other


def put_back(pixels: Pixels, other: OtherChannels | None) -> Pixels | None:
    """All channels in the file's order; None if the picture has another size, type or number of channels."""
    if other is None or pixels.shape[:2] != other.pixels.shape[:2] or pixels.dtype != other.pixels.dtype:
        return None
    if pixels.shape[2] != len(other.own):
        return None
    whole = np.empty((*pixels.shape[:2], len(other.names)), pixels.dtype)
    whole[..., other.own] = pixels
    whole[..., other.rest] = other.pixels
    return whole
