"""Checksums of FFV1 (RFC 9043, 4.9): FFmpeg checks them, and then shows the frame before in place of a damaged one."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

_TRAILER_BYTES = 8  # 3 of size, 1 of state, 4 of the checksum
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def slices_are_whole(packet: bytes) -> bool:
    """Whether every slice of a frame has the checksum that it says; only for files that were written with them.

    The CRC of a slice with its checksum is 0 (polynomial 0x04C11DB7, most significant bit first, beginning with 0):
    zlib's is the same with the bits of each byte mirrored.

    Args:
        packet: one frame.
    """
    return all(_slices(packet))


def a_slice_is_whole(packet: bytes) -> bool:
    """Whether a slice of a frame has the checksum that it says, which shows that the file was written with them."""
    return any(_slices(packet))


def _slices(packet: bytes) -> Iterator[bool]:
    """Whether each slice is whole, the last first; one whose size makes no sense ends the walk."""
    end = len(packet)
    while end > 0:
        size = int.from_bytes(packet[end - 8 : end - 5], "big") + _TRAILER_BYTES
        if end < _TRAILER_BYTES or size > end:
            yield False
            return
        yield zlib.crc32(packet[end - size : end].translate(_MIRRORED), 0xFFFFFFFF) == 0xFFFFFFFF
        end -= size
