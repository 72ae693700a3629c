"""OpenEXR headers (openexr.com, "OpenEXR File Layout"), with attributes kept as bytes.

Unknown attributes therefore pass through unchanged; only those that locate the pixels are interpreted.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

from stylegan_core.frames.base.errors import UnreadablePictureError

MAGIC = b"\x76\x2f\x31\x01"
_TILED, _LONG_NAMES, _DEEP, MULTI_PART = 0x200, 0x400, 0x800, 0x1000
_KNOWN_FLAGS = _TILED | _LONG_NAMES | _DEEP | MULTI_PART
_SHORT_NAME_BYTES = 31
_FIRST_READ_BYTES, _MAX_HEADER_BYTES = 1 << 16, 1 << 26
_MAX_PARTS, _MAX_CHUNKS, _MAX_SIDE_PX = 4096, 1 << 24, 1 << 24
COMPRESSIONS = (
    "none", "rle", "zips", "zip", "piz", "pxr24", "b44", "b44a", "dwaa", "dwab", "htj2k256", "htj2k32",
)  # fmt: skip
_LINES_PER_CHUNK = (1, 1, 1, 16, 32, 16, 32, 32, 32, 256, 256, 32)
SAMPLE_TYPES = ("uint32", "float16", "float32")
_INCREASING_Y, _DECREASING_Y, _RANDOM_Y = 0, 1, 2

ReadAt = Callable[[int, int], bytes]
"""Reads ``size`` bytes at ``offset``, fewer at the end of the file."""


@dataclass(frozen=True)
class ExrAttribute:
    """One attribute of a header, with its value as bytes."""

    name: str
    kind: str
    value: bytes


@dataclass(frozen=True)
class ExrChannel:
    """One channel of a part: its name, its type ("uint32", "float16", "float32"), and how it is sampled."""

    name: str
    sample_type: str
    perceptually_linear: bool
    sampling: tuple[int, int]


@dataclass(frozen=True)
class ExrPart:
    """One part of a file.

    Attributes:
        attributes: all attributes of its header, in order.
        channels: in file order, which is alphabetical.
        data_window: (x, y) of the first and of the last pixel.
        compression: index into COMPRESSIONS.
        tile: (width, height), or None for lines.
        levels: 0 for one level, 1 and 2 for mip and rip maps.
        deep: whether each pixel holds a list of samples.
        chunk_count: entries of the offset table.
    """

    attributes: tuple[ExrAttribute, ...]
    channels: tuple[ExrChannel, ...]
    data_window: tuple[int, int, int, int]
    compression: int
    tile: tuple[int, int] | None
    levels: int
    deep: bool
    chunk_count: int

    @property
    def width_px(self) -> int:
        """Columns of the data window."""
        return self.data_window[2] - self.data_window[0] + 1

    @property
    def height_px(self) -> int:
        """Rows of the data window."""
        return self.data_window[3] - self.data_window[1] + 1

    @property
    def chunk_rows_px(self) -> int:
        """Rows of a full chunk."""
        return self.tile[1] if self.tile is not None else _LINES_PER_CHUNK[self.compression]

    def attribute(self, name: str) -> ExrAttribute | None:
        """The attribute of a name, if there is one."""
        return next((attribute for attribute in self.attributes if attribute.name == name), None)

    def text(self, name: str) -> str | None:
        """The value of a string attribute, if there is one."""
        found = self.attribute(name)
        return found.value.decode("utf-8", "replace") if found is not None and found.kind == "string" else None


def read_headers(read_at: ReadAt) -> tuple[int, tuple[ExrPart, ...], int]:
    """The version word, the parts, and the offset of the first offset table.

    Raises:
        UnreadablePictureError: truncated, damaged or of an unknown kind.
    """
    size = _FIRST_READ_BYTES
    while True:
        head = read_at(0, size)
        try:
            return _parse_headers(head)
        except (struct.error, IndexError) as error:
            if len(head) < size:
                raise UnreadablePictureError("truncated: the EXR stops inside its header") from error
            if size >= _MAX_HEADER_BYTES:
                raise UnreadablePictureError("damaged: the EXR's header does not end") from error
            size *= 16


def pack_headers(version: int, headers: list[tuple[ExrAttribute, ...]]) -> bytes:
    """The bytes of a file before its offset tables.

    Args:
        version: the version word; the flag for long names is added if needed.
        headers: the attributes of each part.
    """
    if any(len(a.name.encode()) > _SHORT_NAME_BYTES for attributes in headers for a in attributes):
        version |= _LONG_NAMES
    packed = [MAGIC, struct.pack("<I", version)]
    for attributes in headers:
        packed += [pack_attribute(attribute) for attribute in attributes]
        packed.append(b"\x00")
    if version & MULTI_PART:
        packed.append(b"\x00")
    return b"".join(packed)


def pack_attribute(attribute: ExrAttribute) -> bytes:
    """The bytes of one attribute."""
    head = attribute.name.encode() + b"\x00" + attribute.kind.encode() + b"\x00"
    return head + struct.pack("<i", len(attribute.value)) + attribute.value


def string_vector(value: bytes) -> tuple[str, ...]:
    """The strings of an attribute of type ``stringvector``, up to the first damaged one."""
    words, at = [], 0
    while at + 4 <= len(value):
        (length,) = struct.unpack_from("<i", value, at)
        if not 0 <= length <= len(value) - at - 4:
            break
        words.append(value[at + 4 : at + 4 + length].decode("utf-8", "replace"))
        at += 4 + length
    return tuple(words)


def _parse_headers(head: bytes) -> tuple[int, tuple[ExrPart, ...], int]:
    magic, version = struct.unpack_from("<4sI", head, 0)
    if magic != MAGIC:
        raise UnreadablePictureError("damaged: the EXR signature is missing")
    if version & 0xFF not in (1, 2) or version & ~(0xFF | _KNOWN_FLAGS):
        raise UnreadablePictureError(f"damaged, or of an unknown EXR version (0x{version:x})")
    at, parts = 8, list[ExrPart]()
    while True:
        attributes, at = _parse_attributes(head, at)
        if not attributes:
            if not parts or not version & MULTI_PART:
                raise UnreadablePictureError("damaged: the EXR has an empty header")
            return version, tuple(parts), at
        parts.append(_part(attributes, version))
        if not version & MULTI_PART:
            return version, tuple(parts), at
        if len(parts) > _MAX_PARTS:
            raise UnreadablePictureError("damaged: the EXR has impossibly many parts")


def _parse_attributes(head: bytes, at: int) -> tuple[tuple[ExrAttribute, ...], int]:
    attributes: list[ExrAttribute] = []
    while head[at] != 0:
        name, at = _text(head, at)
        kind, at = _text(head, at)
        (size,) = struct.unpack_from("<i", head, at)
        if size < 0 or size > _MAX_HEADER_BYTES or not kind:
            raise UnreadablePictureError(f"damaged: the EXR's header attribute {name!r} has an impossible size")
        if at + 4 + size > len(head):
            raise IndexError
        attributes.append(ExrAttribute(name, kind, head[at + 4 : at + 4 + size]))
        at += 4 + size
    return tuple(attributes), at + 1


def _text(head: bytes, at: int) -> tuple[str, int]:
    end = head.find(b"\x00", at, at + 257)
    if end < 0:
        if at + 257 > len(head):
            raise IndexError
        raise UnreadablePictureError("damaged: a name in the EXR's header does not end")
    try:
        return head[at:end].decode("utf-8"), end + 1
    except UnicodeDecodeError as error:
        raise UnreadablePictureError("damaged: a name in the EXR's header is not UTF-8") from error


class _Values:
    """The attributes of one header by name, unpacked where their type and size are right."""

    def __init__(self, attributes: tuple[ExrAttribute, ...]) -> None:
        self.by_name = {attribute.name: attribute for attribute in attributes}

    def unpack(self, name: str, kind: str, layout: str) -> tuple[int, ...]:
        found = self.by_name.get(name)
        if found is None or found.kind != kind or len(found.value) != struct.calcsize(layout):
            raise UnreadablePictureError(f"damaged: the EXR's header has no valid {name}")
        return struct.unpack(layout, found.value)


def _part(attributes: tuple[ExrAttribute, ...], version: int) -> ExrPart:
    values = _Values(attributes)
    left, top, right, bottom = values.unpack("dataWindow", "box2i", "<4i")
    if not 0 <= right - left < _MAX_SIDE_PX or not 0 <= bottom - top < _MAX_SIDE_PX:
        raise UnreadablePictureError("damaged: the EXR's data window has an impossible size")
    values.unpack("displayWindow", "box2i", "<4i")
    (line_order,) = values.unpack("lineOrder", "lineOrder", "<B")
    (compression,) = values.unpack("compression", "compression", "<B")
    if line_order not in (_INCREASING_Y, _DECREASING_Y, _RANDOM_Y):
        raise UnreadablePictureError("damaged: the EXR's header has no valid lineOrder")
    if compression >= len(COMPRESSIONS):
        raise UnreadablePictureError(f"unsupported: its compression (number {compression}) is unknown")
    deep, tile, levels = _storage(values, version)
    channels = _channels(values.by_name)
    part = ExrPart(attributes, channels, (left, top, right, bottom), compression, tile, levels, deep, chunk_count=0)
    return replace(part, chunk_count=_chunk_count(values, part))


def _storage(values: _Values, version: int) -> tuple[bool, tuple[int, int] | None, int]:
    """Whether a part is deep, the size of its tiles (None for lines), and its kind of levels."""
    kind = values.by_name["type"].value.decode("latin-1") if "type" in values.by_name else ""
    if version & (MULTI_PART | _DEEP) and kind not in ("scanlineimage", "tiledimage", "deepscanline", "deeptile"):
        raise UnreadablePictureError("damaged: a part of the EXR has an unknown type")
    deep = bool(version & _DEEP) if not kind else kind.startswith("deep")
    tiled = bool(version & _TILED) if not kind or not version & MULTI_PART else kind in ("tiledimage", "deeptile")
    if not tiled:
        return deep, None, 0
    width, height, mode = values.unpack("tiles", "tiledesc", "<IIB")
    levels = mode & 0xF
    if not 0 < width <= _MAX_SIDE_PX or not 0 < height <= _MAX_SIDE_PX or levels > 2 or mode >> 4 > 1:
        raise UnreadablePictureError("damaged: the EXR's tiles have an impossible size")
    return deep, (width, height), levels


def _chunk_count(values: _Values, part: ExrPart) -> int:
    count = -(-part.height_px // part.chunk_rows_px) * (1 if part.tile is None else -(-part.width_px // part.tile[0]))
    if part.levels:
        if "chunkCount" not in values.by_name:
            raise UnreadablePictureError("unsupported: a texture with several levels of detail, not a frame")
        (count,) = values.unpack("chunkCount", "int", "<i")
    elif "chunkCount" in values.by_name and values.unpack("chunkCount", "int", "<i") != (count,):
        raise UnreadablePictureError("damaged: the EXR's chunk count does not fit its declared size")
    if not 0 < count <= _MAX_CHUNKS:
        raise UnreadablePictureError("damaged: the EXR has an impossible number of chunks")
    return count


def _channels(values: dict[str, ExrAttribute]) -> tuple[ExrChannel, ...]:
    found = values.get("channels")
    if found is None or found.kind != "chlist":
        raise UnreadablePictureError("damaged: the EXR's header has no valid channels")
    at, channels = 0, []
    try:
        while found.value[at] != 0:
            name, at = _text(found.value, at)
            kind, linear, across, down = struct.unpack_from("<iB3xii", found.value, at)
            if kind not in (0, 1, 2) or across < 1 or down < 1:
                raise UnreadablePictureError(f"damaged: the EXR's channel {name!r} has an unknown type")
            channels.append(ExrChannel(name, SAMPLE_TYPES[kind], bool(linear), (across, down)))
            at += 16
    except (struct.error, IndexError) as error:
        raise UnreadablePictureError("damaged: the EXR's list of channels does not end") from error
    if not channels:
        raise UnreadablePictureError("damaged: the EXR has no channels")
    return tuple(channels)
