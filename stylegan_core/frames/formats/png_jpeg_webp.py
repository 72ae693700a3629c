"""Chunks and segments of PNG, JPEG and WebP files: iterates over them, and adds metadata to encoded pictures.

PNG: ISO/IEC 15948. JPEG: ITU-T T.81, with the ICC profile split over segments (ICC.1, annex B). WebP: RFC 9649.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ICC_PREFIX = b"ICC_PROFILE\x00"
_ICC_PART_BYTES = 65_519
_ALPHA_FLAG, _ICC_FLAG, _EXIF_FLAG, _XMP_FLAG = 0x10, 0x20, 0x08, 0x04


def png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Every chunk except picture data of a valid PNG, as (type, body)."""
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        if kind == b"IEND":
            return
        if kind != b"IDAT":
            yield kind, content[at + 8 : at + 8 + length]
        at += 12 + length


def jpeg_segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Every segment before the first scan of a valid JPEG, as (marker, body)."""
    at = 2
    while at + 4 <= len(content):
        if content[at + 1] == 0xFF:  # fill
            at += 1
            continue
        marker, length = struct.unpack_from(">xBH", content, at)
        if marker == 0xDA:
            return
        yield marker, content[at + 4 : at + 2 + length]
        at += 2 + length


def webp_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Every chunk of a valid WebP file, as (type, body)."""
    at = 12
    while at + 8 <= len(content):
        kind, length = struct.unpack_from("<4sI", content, at)
        yield kind, content[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG chunk with its length and checksum."""
    return struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))


def add_to_jpeg(
    encoded: bytes, segments: Sequence[tuple[int, bytes]], profile: bytes | None, density: bytes | None
) -> bytes:
    """Adds segments, an ICC profile and the JFIF density to an encoded JPEG.

    Args:
        encoded: a JPEG; its JFIF header, if any, comes first.
        segments: (marker, body), body at most 65,533 bytes.
        profile: an ICC profile.
        density: 5 bytes: units, then horizontal and vertical pixels a unit.
    """
    split = 2
    head = encoded[:2]
    if encoded[2:4] == b"\xff\xe0":
        split = 4 + struct.unpack_from(">H", encoded, 4)[0]
        jfif = bytearray(encoded[2:split])
        if density is not None and jfif[4:9] == b"JFIF\x00":
            jfif[11:16] = density
        head += bytes(jfif)
    parts = (
        []
        if profile is None
        else [profile[at : at + _ICC_PART_BYTES] for at in range(0, len(profile), _ICC_PART_BYTES)]
    )
    icc = [(0xE2, _ICC_PREFIX + bytes([number, len(parts)]) + part) for number, part in enumerate(parts, 1)]
    added = b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in [*segments, *icc])
    return head + added + encoded[split:]


def add_to_webp(
    encoded: bytes, size: tuple[int, int], has_alpha: bool, profile: bytes | None, exif: bytes | None, xmp: bytes | None
) -> bytes:
    """Adds an ICC profile, EXIF and XMP to an encoded WebP, in the extended format.

    Args:
        encoded: a WebP file.
        size: (width, height) in pixels.
        has_alpha: whether it has an alpha channel.
        profile: ICC profile.
        exif: a TIFF structure.
        xmp: an XMP packet.
    """
    if profile is None and exif is None and xmp is None:
        return encoded
    flags = _ALPHA_FLAG * has_alpha | _ICC_FLAG * (profile is not None)
    flags |= _EXIF_FLAG * (exif is not None) | _XMP_FLAG * (xmp is not None)
    canvas = struct.pack("<I", flags) + b"".join((side - 1).to_bytes(3, "little") for side in size)
    picture = [(kind, body) for kind, body in webp_chunks(encoded) if kind in (b"VP8 ", b"VP8L", b"ALPH")]
    # In the order of the standard.
    chunks = [(b"VP8X", canvas), (b"ICCP", profile), *picture, (b"EXIF", exif), (b"XMP ", xmp)]
    content = b"WEBP" + b"".join(_riff_chunk(kind, body) for kind, body in chunks if body is not None)
    return b"RIFF" + struct.pack("<I", len(content)) + content


def _riff_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(body)) + body + b"\x00" * (len(body) % 2)
