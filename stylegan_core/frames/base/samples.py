"""Conversion of samples to float and back: integer types map to [0, 1], floats keep their values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylegan_core.frames.base.bit_depth import from_codes

Pixels = NDArray[Any]
Unit = NDArray[np.float32]

LARGEST = 65504.0
"""The largest half float; larger and infinite values are clamped to it before a network sees them."""


def to_unit(pixels: Pixels) -> Unit:
    """Converts samples of any type to a new float32 array, integers to [0, 1]."""
    if pixels.dtype.kind != "u":
        return pixels.astype(np.float32)
    unit: Unit = pixels.astype(np.float32)
    unit /= np.float32(np.iinfo(pixels.dtype).max)
    return unit


def make_finite(unit: Unit) -> Unit:
    """Replaces NaN by 0 and clamps to the range of half floats, in place."""
    largest = np.abs(unit).max(initial=0)
    if not largest <= LARGEST:  # NaN compares false
        np.nan_to_num(unit, copy=False, nan=0.0, posinf=LARGEST, neginf=-LARGEST)
        np.clip(unit, -LARGEST, LARGEST, out=unit)
    return unit


def add_change(pixels: Pixels, change_unit: Unit, bits: int | None = None) -> Pixels:
    """Adds a change to samples and rounds once; samples that change by 0, or are not finite, keep every bit.

    Args:
        pixels: (H, W, C) of any type.
        change_unit: (H, W, C) in units of [0, 1] for the integer types; finite.
        bits: bits a sample in the file if fewer than the type holds, such as 10-bit DPX in uint16; see ``bit_depth``.
    """
    if pixels.dtype.kind == "u":
        most = np.iinfo(pixels.dtype).max
        # float32 is exact to a fifth of a 16-bit code here, but not for 32 bits.
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
    """Rounds floats to samples of a type; for integer types, values are clipped to [0, 1] and NaN becomes 0.

    Args:
        unit: (H, W, C) floats.
        kind: type of the samples.
        bits: as for ``add_change``.
    """
    if kind.kind != "u":
        most = float(np.finfo(kind).max)
        floats: Pixels = np.clip(unit, -most, most).astype(kind)
        return floats
    bits = bits or 8 * kind.itemsize
    codes = np.clip(np.nan_to_num(unit), 0, 1) * unit.dtype.type((1 << bits) - 1)
    return from_codes(np.rint(codes).astype(kind), bits)
