"""Bit depths without an array type (2, 4, 10, 12, 14, 24 bits), scaled to the full range of the next larger type.

A 10-bit sample of code c is stored in uint16 as round(c * 65535 / 1023): code that ignores depths gets the right value,
and ``to_codes`` restores every code exactly.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[Any]
MAX_BITS = 32
_TABLE_BITS = 16
_BAND = 1 << 22  # samples a step where there is no table, to bound the 64-bit intermediates


def array_type(bits: int) -> np.dtype[Any]:
    """The unsigned array type that samples of a depth are stored in.

    Raises:
        ValueError: not 1 to 32 bits.
    """
    if not 1 <= bits <= MAX_BITS:
        raise ValueError(f"expected 1 to {MAX_BITS} bits a sample, got {bits} bits")
    return np.dtype(np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32)


def from_codes(codes: Samples, bits: int) -> Samples:
    """Scales codes of a depth to the full range of their array type.

    Args:
        codes: any shape, unsigned integers below 2 ** bits.
        bits: 1 to 32.
    Returns:
        Same shape, ``array_type(bits)``.
    """
    target = array_type(bits)
    if bits == target.itemsize * 8:
        return codes.astype(target, copy=False)
    if bits <= _TABLE_BITS:
        spread: Samples = _spread_table(bits)[codes]
        return spread
    return _scale(codes, (1 << bits) - 1, int(np.iinfo(target).max), target)


def to_codes(pixels: Samples, bits: int) -> Samples:
    """Rounds full-range samples to the codes of a depth; the inverse of ``from_codes``.

    Args:
        pixels: any shape, ``array_type(bits)``.
        bits: 1 to 32.
    Returns:
        Same shape and type, values below 2 ** bits.
    Raises:
        ValueError: the pixels have another type.
    """
    if pixels.dtype != array_type(bits):
        raise ValueError(f"samples of {bits} bits must be {array_type(bits)}, not {pixels.dtype}")
    if bits == pixels.dtype.itemsize * 8:
        return pixels
    if bits <= _TABLE_BITS:
        codes: Samples = _code_table(bits)[pixels]
        return codes
    return _scale(pixels, int(np.iinfo(pixels.dtype).max), (1 << bits) - 1, pixels.dtype)


def _scale(samples: Samples, of: int, to: int, target: np.dtype[Any]) -> Samples:
    """round(samples * to / of) in integers; ``of`` is odd, so there are no ties."""
    result = np.empty(samples.shape, target)
    flat, out = samples.reshape(-1), result.reshape(-1)
    for start in range(0, flat.size, _BAND):
        band = flat[start : start + _BAND].astype(np.uint64)
        out[start : start + _BAND] = (band * np.uint64(to) + np.uint64(of // 2)) // np.uint64(of)
    return result


@lru_cache(maxsize=32)
def _spread_table(bits: int) -> Samples:
    target = array_type(bits)
    return _scale(np.arange(1 << bits, dtype=np.uint32), (1 << bits) - 1, int(np.iinfo(target).max), target)


@lru_cache(maxsize=32)
def _code_table(bits: int) -> Samples:
    most = int(np.iinfo(array_type(bits)).max)
    return _scale(np.arange(most + 1, dtype=np.uint32), most, (1 << bits) - 1, array_type(bits))
