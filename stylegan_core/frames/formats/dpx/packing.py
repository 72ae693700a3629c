"""Packing of DPX samples into bytes (SMPTE ST 268-1, clause 6): 10 and 12 bits filled or packed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[Any]
Bytes = NDArray[np.uint8]
PACKED, FILLED_A, FILLED_B = 0, 1, 2
BITS = (8, 10, 12, 16)
_WORD_BYTES = 4


@dataclass(frozen=True)
class Packing:
    """How a line of samples is stored.

    Attributes:
        bits: 8, 10, 12 or 16.
        method: PACKED: without gaps, from the lowest bit of 32-bit words up; FILLED_A: padded with zeros below the
            samples; FILLED_B: above them. Ignored for 8 and 16 bits.
        order: byte order of words, ">" or "<".
        padding_bytes: after each line, which starts at a 32-bit word.
        joined: whether all lines are stored as one, as OpenImageIO does, against the standard.
    """

    bits: int
    method: int
    order: str
    padding_bytes: int = 0
    joined: bool = False


def line_bytes(packing: Packing, samples: int) -> int:
    """Bytes of a line of a number of samples, including padding."""
    if packing.bits == 10 and packing.method != PACKED:
        size = -(-samples // 3) * _WORD_BYTES
    elif packing.bits == 12 and packing.method != PACKED:
        size = samples * 2
    else:
        size = -(-samples * packing.bits // 8)
    return -(-size // _WORD_BYTES) * _WORD_BYTES + packing.padding_bytes


def unpack_lines(packing: Packing, lines: Bytes, samples: int, *, single: bool) -> Codes:
    """Unpacks lines.

    Args:
        packing: of the lines.
        lines: (rows, ``line_bytes``) uint8.
        samples: of a line.
        single: whether pixels have one sample; then three 10-bit samples fill a word from its lowest bits up.
    Returns:
        (rows, samples) uint8 for 8 bits, uint16 for more.
    """
    lines = lines[:, : lines.shape[1] - packing.padding_bytes]
    if packing.bits == 8:
        return lines[:, :samples]
    if packing.bits == 16 or (packing.bits == 12 and packing.method != PACKED):
        codes: Codes = lines[:, : samples * 2].copy().view(f"{packing.order}u2").astype(np.uint16, copy=False)
        if packing.bits == 16:
            return codes
        return codes >> 4 if packing.method == FILLED_A else codes & 0xFFF
    words = np.ascontiguousarray(lines).view(f"{packing.order}u4")
    if packing.method != PACKED:
        result = np.empty((words.shape[0], words.shape[1] * 3), np.uint16)
        for index, shift in enumerate(_ten_bit_shifts(packing, single)):
            result[:, index::3] = words >> shift & 0x3FF
        return result[:, :samples]
    group, size = (4, 5) if packing.bits == 10 else (2, 3)  # samples, and the bytes that they fill exactly
    stream = words.astype("<u4").view(np.uint8)
    groups = -(-samples // group)
    whole = np.zeros((stream.shape[0], groups * size), np.uint16)
    width = min(stream.shape[1], groups * size)
    whole[:, :width] = stream[:, :width]
    result = np.empty((stream.shape[0], groups * group), np.uint16)
    mask = (1 << packing.bits) - 1
    for index in range(group):
        first, shift = divmod(index * packing.bits, 8)
        result[:, index::group] = (whole[:, first::size] >> shift | whole[:, first + 1 :: size] << (8 - shift)) & mask
    return result[:, :samples]


def pack_lines(packing: Packing, codes: Codes, *, single: bool) -> Bytes:
    """Packs lines, padded with zeros; the inverse of ``unpack_lines``.

    Args:
        packing: of the lines.
        codes: (rows, samples) below 2 ** bits.
        single: as in ``unpack_lines``.
    Returns:
        (rows, ``line_bytes``) uint8.
    """
    rows, samples = codes.shape
    lines = np.zeros((rows, line_bytes(packing, samples)), np.uint8)
    if packing.bits == 8:
        lines[:, :samples] = codes
        return lines
    if packing.bits == 16 or (packing.bits == 12 and packing.method != PACKED):
        shifted = codes << 4 if packing.bits == 12 and packing.method == FILLED_A else codes
        lines[:, : samples * 2] = np.ascontiguousarray(shifted, f"{packing.order}u2").view(np.uint8)
        return lines
    body = lines.shape[1] - packing.padding_bytes
    if packing.method != PACKED:
        words = np.zeros((rows, body // _WORD_BYTES), np.uint32)
        for index, shift in enumerate(_ten_bit_shifts(packing, single)):
            part = codes[:, index::3].astype(np.uint32) << np.uint32(shift)
            words[:, : part.shape[1]] |= part
    else:
        group, size = (4, 5) if packing.bits == 10 else (2, 3)
        groups = -(-samples // group)
        padded = np.zeros((rows, groups * group), np.uint16)
        padded[:, :samples] = codes
        stream = np.zeros((rows, groups * size), np.uint8)
        for index in range(group):
            first, shift = divmod(index * packing.bits, 8)
            stream[:, first::size] |= (padded[:, index::group] << shift & 0xFF).astype(np.uint8)
            stream[:, first + 1 :: size] |= (padded[:, index::group] >> (8 - shift)).astype(np.uint8)
        whole = np.zeros((rows, body), np.uint8)
        width = min(body, stream.shape[1])
        whole[:, :width] = stream[:, :width]
        words = whole.view("<u4")
    lines[:, :body] = words.astype(f"{packing.order}u4").view(np.uint8)
    return lines


def _ten_bit_shifts(packing: Packing, single: bool) -> tuple[int, int, int]:
    """Bit offsets of the three samples of a filled word."""
    low = 2 if packing.method == FILLED_A else 0
    return (low, low + 10, low + 20) if single else (low + 20, low + 10, low)
