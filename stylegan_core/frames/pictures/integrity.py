"""Structural validation of PNG, JPEG and WebP files: chunk checksums, missing ends, contradicting headers.

Decoders overlook such damage: OpenImageIO skips PNG checksums, does not require a PNG's end, and returns the pixels of
a truncated JPEG. Each function here validates a whole file in memory without decoding a pixel, and returns its header.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from PIL import Image

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.base.sniff import CheckSize, PictureHeader
from stylegan_core.frames.formats.tiff.validate import validate_tiff

_PNG_BIT_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PNG_MAX = 0x7FFFFFFF
_MAX_PILLOW_PIXELS = 80_000_000  # above this Pillow warns of decompression bombs
# Inside entropy-coded data 0xff is followed by a stuffed zero, a restart marker or fill; anything else is a marker.
_NEXT_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_JPEG_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SEQUENTIAL = (0xC0, 0xC1)
_JPEG_RESTARTS = range(0xD0, 0xD8)
_JPEG_METADATA = range(0xE0, 0xEE)
_JPEG_TEM, _JPEG_SOI, _JPEG_EOI, _JPEG_SOS = 0x01, 0xD8, 0xD9, 0xDA


def validate(picture_format: str, content: bytes, check_size: CheckSize) -> PictureHeader:
    """Validates the structure of a whole file.

    Args:
        picture_format: "png", "jpeg", "webp" or "tiff".
        content: the whole file.
        check_size: called with the declared size before any expensive step.
    Raises:
        UnreadablePictureError: truncated or damaged, with the reason; or whatever ``check_size`` raises.
    """
    validators = {"png": validate_png, "jpeg": validate_jpeg, "webp": validate_webp, "tiff": validate_tiff}
    return validators[picture_format](content, check_size)


def validate_png(content: bytes, check_size: CheckSize) -> PictureHeader:
    """Validates every chunk's checksum and the end of a PNG (ISO/IEC 15948).

    Raises:
        UnreadablePictureError: truncated, a wrong checksum, or invalid chunks.
    """
    header, seen_data, frames = None, False, 1
    for at, kind, length in _png_chunks(content):
        if kind == b"IHDR":
            if header is not None:
                raise UnreadablePictureError("damaged: the PNG has two header (IHDR) chunks")
            header = _read_png_header(content)
            check_size(header)
        elif kind == b"acTL" and length >= 4:
            (frames,) = struct.unpack_from(">I", content, at + 8)
        elif kind == b"IDAT":
            seen_data = True
    if header is None or not seen_data:
        raise UnreadablePictureError("damaged: the PNG has no picture data (IDAT chunk)")
    return replace(header, frames=frames)


def _png_chunks(content: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Offset, type and length of every chunk up to IEND, each validated; the first one is IHDR."""
    view = memoryview(content)
    at = 8
    kind = b""
    while kind != b"IEND":
        if at + 12 > len(content):
            raise UnreadablePictureError("truncated: the PNG stops before its end (IEND) chunk")
        length, kind = struct.unpack_from(">I4s", content, at)
        name = kind.decode("latin-1") if kind.isalpha() else repr(bytes(kind))
        if length > _PNG_MAX or not kind.isalpha():
            raise UnreadablePictureError(f"damaged: no valid PNG chunk at byte {at}")
        if at == 8 and (kind != b"IHDR" or length != 13):
            raise UnreadablePictureError("damaged: the PNG does not start with its header (IHDR) chunk")
        if at + 12 + length > len(content):
            raise UnreadablePictureError(f"truncated: the PNG stops inside its {name} chunk")
        (checksum,) = struct.unpack_from(">I", content, at + 8 + length)
        if zlib.crc32(view[at + 4 : at + 8 + length]) != checksum:
            raise UnreadablePictureError(f"damaged: the checksum of the PNG's {name} chunk at byte {at} is wrong")
        yield at, kind, length
        at += 12 + length


def _read_png_header(content: bytes) -> PictureHeader:
    width, height, bits, colour, compression, filtering, interlace = struct.unpack_from(">IIBBBBB", content, 16)
    if not 0 < width <= _PNG_MAX or not 0 < height <= _PNG_MAX:
        raise UnreadablePictureError(f"damaged: the PNG declares an impossible size, {width} x {height} px")
    if bits not in _PNG_BIT_DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
        raise UnreadablePictureError("damaged: the PNG's header declares an unknown pixel type")
    return PictureHeader(width, height)


@dataclass
class _JpegScan:
    """What has been found of a JPEG so far.

    Attributes:
        header: of the picture; None before its frame header.
        sequential: whether the frame header is that of a sequential JPEG.
        scans: number of scans.
        picture_data: all that the pixels depend on, without EXIF and profile.
    """

    header: PictureHeader | None = None
    sequential: bool = False
    scans: int = 0
    picture_data: list[bytes] = field(default_factory=list)


def validate_jpeg(content: bytes, check_size: CheckSize) -> PictureHeader:
    """Validates the markers of a JPEG (ITU-T T.81) from its start to its end of image.

    Raises:
        UnreadablePictureError: truncated, invalid markers, or CMYK.
    """
    found = _JpegScan(picture_data=[content[:2]])
    marker_at, marker = _jpeg_marker(content, 2)
    while marker != _JPEG_EOI:
        at = marker_at + 2
        if marker != _JPEG_TEM and marker not in _JPEG_RESTARTS:
            at = _read_jpeg_segment(content, marker_at, marker, found, check_size)
        marker_at, marker = _jpeg_marker(content, at)
    if found.header is None or not found.scans:
        raise UnreadablePictureError("damaged: the JPEG has no picture data")
    if found.sequential and found.scans == 1 and _has_spare_data(b"".join(found.picture_data), found.header):
        raise UnreadablePictureError("damaged: the JPEG holds more data than its picture takes")
    return found.header


def _jpeg_marker(content: bytes, at: int) -> tuple[int, int]:
    """Offset and code of the marker at an offset, after any fill bytes."""
    start = at if content[at : at + 1] == b"\xff" else -1
    while start >= 0 and content[start + 1 : start + 2] == b"\xff":  # fill bytes before a marker
        start += 1
    if start < 0 or start + 2 > len(content):
        if at + 2 > len(content):
            raise UnreadablePictureError("truncated: the JPEG stops before its end of image marker")
        raise UnreadablePictureError(f"damaged: no JPEG marker at byte {at}, where one must be")
    return start, content[start + 1]


def _read_jpeg_segment(content: bytes, marker_at: int, marker: int, found: _JpegScan, check_size: CheckSize) -> int:
    """Adds a segment, and the entropy-coded data after a start of scan, to ``found``; returns the offset after it."""
    if marker in (0x00, _JPEG_SOI):
        raise UnreadablePictureError(f"damaged: no valid JPEG marker at byte {marker_at}")
    end = _jpeg_segment_end(content, marker_at)
    if marker in _JPEG_FRAME_HEADERS:
        if found.header is not None:
            raise UnreadablePictureError("damaged: the JPEG has two frame headers")
        found.header, found.sequential = _read_jpeg_header(content, marker_at + 2, end), marker in _JPEG_SEQUENTIAL
        check_size(found.header)
    if marker not in _JPEG_METADATA:
        found.picture_data.append(content[marker_at:end])
    if marker != _JPEG_SOS:
        return end
    if found.header is None:
        raise UnreadablePictureError("damaged: the JPEG's picture data has no frame header before it")
    next_marker = _NEXT_JPEG_MARKER.search(content, end)
    if next_marker is None:
        raise UnreadablePictureError("truncated: the JPEG stops before its end of image marker")
    found.picture_data.append(content[end : next_marker.start()])
    found.scans += 1
    return next_marker.start()


def _jpeg_segment_end(content: bytes, marker_at: int) -> int:
    at = marker_at + 2
    if at + 2 > len(content):
        raise UnreadablePictureError("truncated: the JPEG stops inside a segment")
    (length,) = struct.unpack_from(">H", content, at)
    if length < 2:
        raise UnreadablePictureError(f"damaged: the JPEG has a segment of impossible length at byte {marker_at}")
    if at + length > len(content):
        raise UnreadablePictureError("truncated: the JPEG stops inside a segment")
    return int(at + length)


def _has_spare_data(content: bytes, header: PictureHeader) -> bool:
    """Whether a sequential JPEG of one scan still decodes without its last byte of data.

    After a flipped bit the decoder loses its place, mostly without an error: blocks come out wrong, and data remains at
    the end. libjpeg would report this when it finishes, which OpenImageIO never lets it do. An intact picture needs
    every byte; Pillow refuses one that is a byte short, and at an eighth of the size decodes in 2 to 3 ms at 1080p.

    Args:
        content: the file without its metadata and its end of image marker.
        header: its size.
    """
    if header.width_px * header.height_px > _MAX_PILLOW_PIXELS:
        return False
    content = content.rstrip(b"\xff")  # fill bytes before the end of image marker
    short = content[:-2] if content.endswith(b"\xff\x00") else content[:-1]
    try:
        with Image.open(io.BytesIO(short), formats=("JPEG",)) as image:
            image.draft("L", (max(header.width_px // 8, 1), max(header.height_px // 8, 1)))
            image.load()
    except (OSError, ValueError, SyntaxError):
        return False
    return True


def _read_jpeg_header(content: bytes, at: int, end: int) -> PictureHeader:
    length = end - at
    if length < 8:
        raise UnreadablePictureError("damaged: the JPEG's frame header is too short")
    _, bits, height, width, components = struct.unpack_from(">HBHHB", content, at)
    if width == 0 or height == 0 or length != 8 + 3 * components:
        raise UnreadablePictureError("damaged: the JPEG's frame header declares no size or no components")
    if components == 4:
        raise UnreadablePictureError("it is a CMYK picture: convert it to RGB first, with its printing profile")
    if components not in (1, 3) or bits != 8:
        raise UnreadablePictureError(f"unsupported JPEG: {components} channels of {bits} bits")
    return PictureHeader(width, height)


def validate_webp(content: bytes, check_size: CheckSize) -> PictureHeader:
    """Validates the chunks of a WebP file (RFC 9649).

    Raises:
        UnreadablePictureError: truncated, or invalid chunks.
    """
    (size,) = struct.unpack_from("<I", content, 4)
    end = 8 + size
    if end > len(content):
        raise UnreadablePictureError(f"truncated: the WebP declares {end} bytes and has {len(content)}")
    at, canvas, picture, frames = 12, None, None, 0
    while at + 8 <= end:
        kind, length = struct.unpack_from("<4sI", content, at)
        if at + 8 + length > end:
            raise UnreadablePictureError(f"damaged: the WebP's {kind.decode('latin-1')!r} chunk runs past its end")
        body = content[at + 8 : at + 8 + min(length, 32)]
        if kind == b"VP8X" and length >= 10:
            width, height = (1 + int.from_bytes(body[start : start + 3], "little") for start in (4, 7))
            canvas = PictureHeader(width, height)
            check_size(canvas)
        elif kind == b"ANMF":
            frames += 1
        elif kind in (b"VP8 ", b"VP8L") and picture is None:
            picture = _read_webp_header(kind, body)
            check_size(picture)
        at += 8 + length + (length & 1)
    return _webp_header(canvas, picture, frames)


def _webp_header(canvas: PictureHeader | None, picture: PictureHeader | None, frames: int) -> PictureHeader:
    header = canvas or picture
    if header is None or (picture is None and not frames):
        raise UnreadablePictureError("damaged: the WebP has no picture data")
    if canvas and picture and canvas != picture:
        raise UnreadablePictureError("damaged: the WebP declares two different sizes")
    return replace(header, frames=max(frames, 1))


def _read_webp_header(kind: bytes, body: bytes) -> PictureHeader:
    if kind == b"VP8L":
        if len(body) < 5 or body[0] != 0x2F:
            raise UnreadablePictureError("damaged: the WebP's lossless header is wrong")
        bits = int.from_bytes(body[1:5], "little")
        return PictureHeader(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    if len(body) < 10 or body[3:6] != b"\x9d\x01\x2a" or body[0] & 1:
        raise UnreadablePictureError("damaged: the WebP's frame header is wrong")
    width, height = struct.unpack_from("<HH", body, 6)
    if not width & 0x3FFF or not height & 0x3FFF:
        raise UnreadablePictureError("damaged: the WebP declares no size")
    return PictureHeader(width & 0x3FFF, height & 0x3FFF)
