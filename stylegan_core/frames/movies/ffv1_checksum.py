"""Checksums of FFV1 slices (RFC 9043, 4.9).

FFmpeg checks them too, but then shows the previous frame in place of a damaged one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

_TRAILER_BYTES = 8  # 3 of size, 1 of state, 4 of the checksum
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def all_slices_valid(packet: bytes) -> bool:
    """Whether every slice of a frame matches its checksum; only for files that were written with checksums.

    The CRC of a slice including its checksum is 0 (polynomial 0x04C11DB7, most significant bit first, initial value
    0); zlib's CRC is the same with the bits of each byte mirrored.

    Args:
        packet: one frame.
    """
    return all(_slices(packet))


def has_valid_slice(packet: bytes) -> bool:
    """Whether some slice of a frame matches its checksum, which proves that the file was written with checksums."""
    return any(_slices(packet))


def _slices(packet: bytes) -> Iterator[bool]:
    """Whether each slice is valid, from the last to the first; a slice of impossible size is the last result."""
    end = len(packet)
    while end > 0:
        size = int.from_bytes(packet[end - 8 : end - 5], "big") + _TRAILER_BYTES
        if end < _TRAILER_BYTES or size > end:
            yield False
            return
        yield zlib.crc32(packet[end - size : end].translate(_MIRRORED), 0xFFFFFFFF) == 0xFFFFFFFF
        end -= size
