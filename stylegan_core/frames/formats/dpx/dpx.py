"""Reads and writes DPX (SMPTE ST 268-1): 8, 10, 12 and 16 bits, both byte orders, all packings, headers kept as bytes.

The picture is the first picture element; the other elements, film and television fields and user data pass through.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from stylegan_core.frames.base.bit_depth import array_type, from_codes, to_codes
from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.base.sniff import CheckSize, PictureHeader
from stylegan_core.frames.formats.dpx.packing import (
    BITS,
    FILLED_A,
    PACKED,
    Packing,
    line_bytes,
    pack_lines,
    unpack_lines,
)

Pixels = NDArray[Any]
_IMAGE_AT, _FILE_SIZE_AT, _GENERIC_SIZE_AT, _INDUSTRY_SIZE_AT, _USER_SIZE_AT = 4, 16, 24, 28, 32
_ORIENTATION_AT, _ELEMENTS_AT, _ELEMENT_BYTES = 768, 780, 72
_LEAST_BYTES, _HEADER_BYTES, _MOST_ELEMENTS = 1664, 2048, 8
_UNDEFINED = 0xFFFFFFFF
_ELEMENT = "I4x4x4x4xBBBBHHIII"  # sign, descriptor, transfer, colorimetric, bits, packing, encoding, offset, paddings
_OFFSET_IN_ELEMENT = 28
_CHANNELS = {0: 3, 1: 1, 2: 1, 3: 1, 6: 1, 50: 3, 51: 4, 52: 4}
_LUMA, _RGB, _RGBA, _ABGR = 6, 50, 51, 52
_TEXTS = re.compile(rb"\n?stylereel-texts:(\{.*?\})\n\x00*", re.DOTALL)
_USER_ID_BYTES, _ALIGNMENT = 32, 2048
_BAND_ROWS = 64
_MAX_SIDE_PX = 1 << 20
_CHARACTERISTICS = {
    1: "printing density", 2: "linear", 3: "logarithmic", 4: "unspecified video", 5: "SMPTE 274M", 6: "ITU-R 709",
    7: "ITU-R 601 625", 8: "ITU-R 601 525", 9: "NTSC", 10: "PAL",
}  # fmt: skip


@dataclass(frozen=True)
class DpxSource:
    """A DPX file without the samples of its picture.

    Attributes:
        before: all bytes before the picture element's samples, such as headers and user data.
        after: all bytes after them.
        packing: how the samples are packed.
        channels: number of channels.
        reversed_channels: whether they are stored in the order A, B, G, R.
        elements: number of picture elements; all but the first pass through.
        orientation: 0 if lines run left to right and top to bottom.
        transfer: the header's code of the transfer characteristic.
        colorimetric: the header's code of the colorimetric specification.
    """

    before: bytes
    after: bytes
    packing: Packing
    channels: int
    reversed_channels: bool
    elements: int = 1
    orientation: int = 0
    transfer: int = 0
    colorimetric: int = 0


def read_dpx(content: bytes, check_size: CheckSize) -> tuple[Pixels, DpxSource]:
    """Reads a whole DPX file.

    Args:
        content: of the file.
        check_size: raises for a size that must not be decoded.
    Returns:
        (H, W, 1, 3 or 4) uint8 or uint16 over the full range of the type, lines as stored; and the rest of the file.
    Raises:
        UnreadablePictureError: truncated, damaged, or of an unsupported kind.
    """
    source, width, height, at = _read_header(content, check_size)
    rows, samples = _lines(source, width, height)
    size = line_bytes(source.packing, samples)
    data = np.frombuffer(content, np.uint8, min(size * rows, len(content) - at), at)
    if len(data) < size * rows:  # the last word of joined lines may be truncated
        data = np.concatenate([data, np.zeros(size * rows - len(data), np.uint8)])
    lines = data.reshape(rows, size)
    pixels = np.empty((rows, samples // source.channels, source.channels), array_type(source.packing.bits))
    for top in range(0, rows, _BAND_ROWS):
        codes = unpack_lines(source.packing, lines[top : top + _BAND_ROWS], samples, single=source.channels == 1)
        spread = from_codes(codes, source.packing.bits).reshape(-1, *pixels.shape[1:])
        pixels[top : top + _BAND_ROWS] = spread[..., ::-1] if source.reversed_channels else spread
    return pixels.reshape(height, width, source.channels), source


def write_dpx(path: Path, pixels: Pixels, source: DpxSource, texts: Mapping[str, str]) -> None:
    """Writes a DPX file.

    Args:
        path: of the file.
        pixels: (H, W, C) of the source's size, channels and ``array_type`` type.
        source: from ``read_dpx`` or ``new_source``.
        texts: appended to the user data; they replace earlier ones.
    Raises:
        OSError: the file cannot be written.
    """
    with path.open("wb") as file:
        file.write(_with_texts(source, texts) if texts else source.before)
        _write_lines(file, pixels, source)
        file.write(source.after)


def fits_source(source: DpxSource, pixels: Pixels) -> bool:
    """Whether pixels can replace those that were read."""
    order = source.packing.order
    width, height = struct.unpack_from(order + "II", source.before, _ORIENTATION_AT + 4)
    held = array_type(source.packing.bits)
    return pixels.shape == (height, width, source.channels) and pixels.dtype == held


def new_source(height_px: int, width_px: int, channels: int, bits: int) -> DpxSource:
    """The header of a plain file: one element, big-endian, 10 and 12 bits filled, without colour information.

    Args:
        height_px: rows.
        width_px: columns.
        channels: 1, 3 or 4.
        bits: 8, 10, 12 or 16.
    """
    packing = Packing(bits, FILLED_A, ">")
    header = bytearray(_HEADER_BYTES)
    data_bytes = line_bytes(packing, width_px * channels) * height_px
    file_bytes = _HEADER_BYTES + data_bytes
    industry_bytes = _HEADER_BYTES - _LEAST_BYTES
    struct.pack_into(
        ">4sI8sIIIII", header, 0, b"SDPX", _HEADER_BYTES, b"V2.0", file_bytes, 1, _LEAST_BYTES, industry_bytes, 0
    )  # fmt: skip
    struct.pack_into(">I", header, 660, _UNDEFINED)
    struct.pack_into(">HHII", header, _ORIENTATION_AT, 0, 1, width_px, height_px)
    descriptor = {1: _LUMA, 3: _RGB, 4: _RGBA}[channels]
    struct.pack_into(
        ">IIfIfBBBBHHIII", header, _ELEMENTS_AT,
        0, 0, 0.0, (1 << bits) - 1, 0.0, descriptor, 0, 0, bits, FILLED_A, 0, _HEADER_BYTES, 0, 0,
    )  # fmt: skip
    # Unknown numbers have all bits set.
    for start, stop in ((1408, 1432), (1628, 1636), (1712, 1732), (1920, 1928), (1932, 1972)):
        header[start:stop] = b"\xff" * (stop - start)
    return DpxSource(bytes(header), b"", packing, channels, reversed_channels=False)


def resized(source: DpxSource, height_px: int, width_px: int) -> DpxSource:
    """The source for a picture of another size; the other elements, which have the old size, are dropped."""
    header, order = bytearray(source.before), source.packing.order
    packing = replace(source.packing, joined=False)
    struct.pack_into(order + "HII", header, _ORIENTATION_AT + 2, 1, width_px, height_px)
    data_bytes = line_bytes(packing, width_px * source.channels) * height_px
    struct.pack_into(order + "I", header, _FILE_SIZE_AT, len(header) + data_bytes)
    return replace(source, before=bytes(header), after=b"", packing=packing, elements=1)


def dpx_colour_tags(source: DpxSource) -> dict[str, object]:
    """Names of the transfer and colorimetric characteristics in the header."""
    codes = {"transfer": source.transfer, "colorimetric": source.colorimetric}
    return {name: _CHARACTERISTICS[code] for name, code in codes.items() if code in _CHARACTERISTICS}


def dpx_warnings(source: DpxSource) -> list[str]:
    """Messages about the file for the user."""
    if source.orientation in (0, 0xFFFF):
        return []
    return ["its lines do not run from top left to bottom right; they are kept as stored"]


def read_texts(content: bytes) -> dict[str, str]:
    """The texts that ``write_dpx`` put into the user data, given the first bytes of a file."""
    order = ">" if content[:4] == b"SDPX" else "<"
    place = _user_data(content, order) if len(content) >= _LEAST_BYTES else None
    found = None if place is None else _TEXTS.search(content[place[0] : place[0] + place[1]])
    if found is None:
        return {}
    try:
        return {str(key): str(value) for key, value in json.loads(found[1]).items()}
    except ValueError:
        return {}


def _read_header(content: bytes, check_size: CheckSize) -> tuple[DpxSource, int, int, int]:
    """The source, width, height, and offset of the picture's samples."""
    if len(content) < _LEAST_BYTES:
        raise UnreadablePictureError("truncated: the DPX stops inside its header")
    order = ">" if content[:4] == b"SDPX" else "<"
    image_at, file_bytes = (struct.unpack_from(order + "I", content, at)[0] for at in (_IMAGE_AT, _FILE_SIZE_AT))
    orientation, elements, width, height = struct.unpack_from(order + "HHII", content, _ORIENTATION_AT)
    if not 0 < width <= _MAX_SIDE_PX or not 0 < height <= _MAX_SIDE_PX:
        raise UnreadablePictureError(f"damaged: the DPX declares an impossible size, {width} x {height} px")
    if not 1 <= elements <= _MOST_ELEMENTS:
        raise UnreadablePictureError(f"damaged: the DPX declares {elements} picture elements, expected 1 to 8")
    check_size(PictureHeader(width, height))
    sign, descriptor, transfer, colorimetric, bits, method, encoding, at, line_padding, _ = struct.unpack_from(
        order + _ELEMENT, content, _ELEMENTS_AT
    )
    at = image_at if at in (0, _UNDEFINED) else at
    line_padding = 0 if line_padding == _UNDEFINED else line_padding
    if not _LEAST_BYTES <= at <= len(content) or line_padding > 1 << 16:
        raise UnreadablePictureError("damaged: the DPX does not say where its pixels are")
    if descriptor not in _CHANNELS or (descriptor in (1, 2, 3) and elements > 1):
        raise UnreadablePictureError(f"unsupported DPX: its pixels are of kind {descriptor}, not RGB, RGBA or luma")
    if bits not in BITS or sign == 1 or encoding == 1 or (bits in (10, 12) and method > 2):
        what = "run-length encoded" if encoding == 1 else "signed" if sign == 1 else f"of {bits} bits"
        raise UnreadablePictureError(f"unsupported DPX: its samples are {what}, not unsigned integers of 8 to 16 bits")
    later = [offset for offset in _element_offsets(content, order, elements)[1:] if offset > at]
    available = min([*later, len(content)]) - at
    samples = width * _CHANNELS[descriptor]
    packing = Packing(bits, method, order, padding_bytes=line_padding)
    size = line_bytes(packing, samples) * height
    joined = -(-_data_bits(packing, samples * height) // 8)
    if joined <= available < size:
        packing, size = Packing(bits, method, order, joined=True), joined
    # Many writers store a wrong file size; it is used only for the end of other elements.
    needed = max(at + size, file_bytes if elements > 1 and file_bytes != _UNDEFINED else 0)
    if available < size or len(content) < needed:
        raise UnreadablePictureError(f"truncated: the DPX needs {needed} bytes and has {len(content)}")
    before, after = content[:at], content[at + size :]
    channels, reversed_channels = _CHANNELS[descriptor], descriptor == _ABGR
    source = DpxSource(
        before, after, packing, channels, reversed_channels, elements, orientation, transfer, colorimetric
    )  # fmt: skip
    return source, width, height, at


def _lines(source: DpxSource, width: int, height: int) -> tuple[int, int]:
    """Number of stored lines, and of samples in each."""
    samples = width * source.channels
    return (1, samples * height) if source.packing.joined else (height, samples)


def _data_bits(packing: Packing, samples: int) -> int:
    """Bits of samples in filled words, or without gaps if packed."""
    if packing.bits == 10 and packing.method != PACKED:
        return -(-samples // 3) * 32
    return samples * (16 if packing.bits == 12 and packing.method != PACKED else packing.bits)


def _write_lines(file: BinaryIO, pixels: Pixels, source: DpxSource) -> None:
    height, width, channels = pixels.shape
    rows, samples = _lines(source, width, height)
    stored = np.ascontiguousarray(pixels).reshape(rows, samples // channels, channels)
    size = -(-_data_bits(source.packing, samples) // 8) if source.packing.joined else None
    for top in range(0, rows, _BAND_ROWS):
        band = stored[top : top + _BAND_ROWS]
        codes = to_codes(band[..., ::-1] if source.reversed_channels else band, source.packing.bits)
        lines = pack_lines(source.packing, codes.reshape(-1, samples), single=channels == 1)
        file.write(lines.tobytes()[:size])


def _element_offsets(header: bytes, order: str, elements: int) -> list[int]:
    starts = (_ELEMENTS_AT + _ELEMENT_BYTES * index + _OFFSET_IN_ELEMENT for index in range(elements))
    offsets = [int(struct.unpack_from(order + "I", header, start)[0]) for start in starts]
    return [0 if offset == _UNDEFINED else offset for offset in offsets]


def _user_data(header: bytes | bytearray, order: str) -> tuple[int, int] | None:
    """Offset and size of the user data; None if there is no room for any before the picture."""
    image_at, generic, industry, size = (
        struct.unpack_from(order + "I", header, at)[0]
        for at in (_IMAGE_AT, _GENERIC_SIZE_AT, _INDUSTRY_SIZE_AT, _USER_SIZE_AT)
    )
    start = generic + industry if _LEAST_BYTES <= generic + industry <= _HEADER_BYTES else _HEADER_BYTES
    if start > image_at:
        return None
    return start, 0 if size == _UNDEFINED or start + size > image_at else size


def _with_texts(source: DpxSource, texts: Mapping[str, str]) -> bytes:
    """The bytes before the picture, with texts at the end of the user data and all offsets adjusted."""
    header, order = bytearray(source.before), source.packing.order
    place = _user_data(header, order)
    if place is None:
        return bytes(header)
    start, size = place
    user = _TEXTS.sub(b"", bytes(header[start : start + size]))
    user = user or b"stylereel".ljust(_USER_ID_BYTES, b"\x00")
    user += b"\nstylereel-texts:" + json.dumps(dict(texts)).encode() + b"\n"
    user += bytes(-len(user) % _ALIGNMENT)
    moved = len(user) - size
    elements = struct.unpack_from(order + "H", header, _ORIENTATION_AT + 2)[0]
    places = [_ELEMENTS_AT + _ELEMENT_BYTES * i + _OFFSET_IN_ELEMENT for i in range(elements)]
    for at in (_IMAGE_AT, _FILE_SIZE_AT, *places):
        (value,) = struct.unpack_from(order + "I", header, at)
        if value not in (0, _UNDEFINED) and value + moved < _UNDEFINED:
            struct.pack_into(order + "I", header, at, value + moved)
    struct.pack_into(order + "I", header, _USER_SIZE_AT, len(user))
    return bytes(header[:start]) + user + bytes(header[start + size :])
