"""Samples of pictures as numbers and back: uint8, uint16 and uint32 are [0, 1], floats are what they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylegan_core.frames.base.bit_depth import from_codes

Pixels = NDArray[Any]
Unit = NDArray[np.float32]

LARGEST = 65504.0
"""Of half floats: what larger or infinite values are taken for on their way to a network."""


def to_unit(pixels: Pixels) -> Unit:
    """Samples of any type as a new float32 array, [0, 1] for the integer types."""
    if pixels.dtype.kind != "u":
        return pixels.astype(np.float32)
    unit: Unit = pixels.astype(np.float32)
    unit /= np.float32(np.iinfo(pixels.dtype).max)
    return unit


def make_finite(unit: Unit) -> Unit:
    """In place: NaN becomes 0, what exceeds half's range its ends."""
    largest = np.abs(unit).max(initial=0)
    if not largest <= LARGEST:  # NaN compares false
        np.nan_to_num(unit, copy=False, nan=0.0, posinf=LARGEST, neginf=-LARGEST)
        np.clip(unit, -LARGEST, LARGEST, out=unit)
    return unit


def add_change(pixels: Pixels, change_unit: Unit, bits: int | None = None) -> Pixels:
    """Samples plus a change, rounded once; what changes by 0, or is not finite, keeps every bit.

    Args:
        pixels: (H, W, C) of any type.
        change_unit: (H, W, C) in units of [0, 1] for the integer types; finite.
        bits: of a sample in the file, where fewer than the type holds: 10 of DPX in uint16, see ``bit_depth``.
    """
    if pixels.dtype.kind == "u":
        most = np.iinfo(pixels.dtype).max
        # Float32 is exact to a fifth of a 16-bit code here, but not for 32 bits.
        precise = np.float64 if pixels.dtype.itemsize > 2 else np.float32
        exact: NDArray[Any] = np.multiply(change_unit, precise(most), dtype=precise)
        exact += pixels
        if bits is None or bits == 8 * pixels.dtype.itemsize:
            np.rint(exact, out=exact)
            return np.clip(exact, 0, most, out=exact).astype(pixels.dtype)
        exact /= precise(most)
        return np.where(change_unit != 0, from_unit(exact, pixels.dtype, bits), pixels)
    result = pixels.copy()
    largest = np.finfo(pixels.dtype).max
    with np.errstate(invalid="ignore"):
        sums = np.clip(pixels.astype(np.float32) + change_unit, -largest, largest).astype(pixels.dtype)
    np.copyto(result, sums, where=(change_unit != 0) & np.isfinite(pixels))
    return result


def from_unit(unit: NDArray[Any], kind: np.dtype[Any], bits: int | None = None) -> Pixels:
    """Rounds numbers to samples of a type; integers clip to [0, 1], and NaN is 0 of them.

    Args:
        unit: (H, W, C) floats.
        kind: of the samples.
        bits: as for ``add_change``.
    """
    if kind.kind != "u":
        most = float(np.finfo(kind).max)
        floats: Pixels = np.clip(unit, -most, most).astype(kind)
        return floats
    bits = bits or 8 * kind.itemsize
    codes = np.clip(np.nan_to_num(unit), 0, 1) * unit.dtype.type((1 << bits) - 1)
    return from_codes(np.rint(codes).astype(kind), bits)
