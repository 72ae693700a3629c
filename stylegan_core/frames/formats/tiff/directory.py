"""In-place changes of a TIFF's first directory, by appending a new one and its data (TIFF 6.0, BigTIFF)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from stylegan_core.frames.base.errors import UnreadablePictureError

Codes = NDArray[Any]
_BYTE, _SHORT, _LONG, _LONG8 = 1, 3, 4, 16
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
WIDTH, HEIGHT, BITS, COMPRESSION, OFFSETS, ROWS, COUNTS, XMP = 256, 257, 258, 259, 273, 278, 279, 700
_PREDICTOR = 317
_STRIP_BYTES = 1 << 20
_MAX_XMP_BYTES = 64 << 20


@dataclass(frozen=True)
class _Kind:
    """Byte order and offset size of a file."""

    order: str
    big: bool

    @property
    def offset(self) -> str:
        return self.order + ("Q" if self.big else "I")


@dataclass(frozen=True)
class _Field:
    """One directory entry: type, number of values, and the 4 or 8 bytes with the values or their offset."""

    kind: int
    count: int
    inline: bytes


def read_xmp(content: bytes) -> bytes | None:
    """The XMP packet of a TIFF whose structure has been checked."""
    kind = _kind(content[:16])
    at = struct.unpack_from(kind.offset, content, 8 if kind.big else 4)[0]
    field = _directory(kind, lambda offset, size: content[offset : offset + size], at)[0].get(XMP)
    if field is None or field.kind not in (1, 2, 7) or field.count > _MAX_XMP_BYTES:
        return None
    if field.count <= len(field.inline):
        return field.inline[: field.count]
    start = struct.unpack(kind.offset, field.inline)[0]
    return content[start : start + field.count]


def put_xmp(path: Path, packet: bytes) -> None:
    """Sets the XMP packet of a TIFF."""
    with path.open("r+b") as file:
        at = _append(file, packet)
        _append_directory(file, {XMP: (_BYTE, len(packet), at)})


def replace_pixels(path: Path, codes: Codes, bits: int) -> None:
    """Replaces the pixels of a TIFF of one uncompressed strip by pixels of any depth, packed except at line ends.

    Args:
        path: of the file.
        codes: (H, W, C) unsigned, below 2 ** bits.
        bits: 1 to 32.
    """
    height, width, channels = codes.shape
    row_bytes = -(-width * channels * bits // 8)
    rows = max(1, _STRIP_BYTES // row_bytes)
    with path.open("r+b") as file:
        offsets, counts = [], []
        for top in range(0, height, rows):
            packed = pack_bits(codes[top : top + rows].reshape(-1, width * channels), bits).tobytes()
            offsets.append(_append(file, packed))
            counts.append(len(packed))
        _append_directory(
            file,
            {
                WIDTH: (_LONG, 1, width),
                HEIGHT: (_LONG, 1, height),
                BITS: (_SHORT, channels, [bits] * channels),
                COMPRESSION: (_SHORT, 1, 1),
                OFFSETS: (_LONG, len(offsets), offsets),
                ROWS: (_LONG, 1, rows),
                COUNTS: (_LONG, len(counts), counts),
            },
            without=(_PREDICTOR,),
        )


def pack_bits(codes: Codes, bits: int) -> NDArray[np.uint8]:
    """Packs lines of samples without gaps, from the highest bit down; OpenImageIO and tifffile read 24 bits so, too.

    Args:
        codes: (rows, samples).
        bits: bits a sample.
    Returns:
        (rows, bytes) uint8.
    """
    wide = codes.astype(">u4").view(np.uint8).reshape(*codes.shape, 4)
    singles = np.unpackbits(wide, axis=-1)[..., 32 - bits :]
    return np.packbits(singles.reshape(len(codes), -1), axis=-1)


def _kind(head: bytes) -> _Kind:
    return _Kind("<" if head[:2] == b"II" else ">", head[2:4] in (b"+\x00", b"\x00+"))


def _directory(kind: _Kind, read_at: Callable[[int, int], bytes], at: int) -> tuple[dict[int, _Field], int]:
    """The entries of a directory by tag, and the offset of the next one."""
    layout = kind.order + ("HHQ8s" if kind.big else "HHI4s")
    head = kind.order + ("Q" if kind.big else "H")
    try:
        (count,) = struct.unpack(head, read_at(at, struct.calcsize(head)))
        start, size = at + struct.calcsize(head), struct.calcsize(layout)
        entries = read_at(start, count * size)
        fields = {}
        for entry in range(count):
            tag, value_kind, values, inline = struct.unpack_from(layout, entries, entry * size)
            fields[tag] = _Field(value_kind, values, inline)
        next_at = struct.unpack(kind.offset, read_at(start + count * size, struct.calcsize(kind.offset)))[0]
    except struct.error as error:
        raise UnreadablePictureError("damaged: the TIFF's directory is truncated") from error
    return fields, next_at


def _append(file: BinaryIO, content: bytes) -> int:
    """Appends at an even offset, which is returned."""
    file.seek(0, 2)
    file.write(b"\x00" * (file.tell() % 2))
    at = file.tell()
    file.write(content)
    return at


def _append_directory(
    file: BinaryIO, changes: Mapping[int, tuple[int, int, int | list[int]]], without: tuple[int, ...] = ()
) -> None:
    """Appends a new first directory: the old one with changes, each (type, count, value, values or offset)."""

    def read_at(offset: int, size: int) -> bytes:
        file.seek(offset)
        return file.read(size)

    kind = _kind(read_at(0, 16))
    pointer = 8 if kind.big else 4
    first = struct.unpack(kind.offset, read_at(pointer, struct.calcsize(kind.offset)))[0]
    fields, next_at = _directory(kind, read_at, first)
    room = 8 if kind.big else 4
    for tag, (value_kind, count, value) in changes.items():
        size = count * _TYPE_BYTES[value_kind]
        code = {_BYTE: "B", _SHORT: "H", _LONG: "I"}[value_kind]
        if isinstance(value, list):
            packed = struct.pack(f"{kind.order}{count}{code}", *value)
            inline = packed.ljust(room, b"\x00") if size <= room else struct.pack(kind.offset, _append(file, packed))
        elif size > room:
            inline = struct.pack(kind.offset, value)
        else:
            inline = struct.pack(kind.order + code, value).ljust(room, b"\x00")
        fields[tag] = _Field(value_kind, count, inline)
    for tag in without:
        fields.pop(tag, None)
    head = struct.pack(kind.order + ("Q" if kind.big else "H"), len(fields))
    entries = b"".join(
        struct.pack(kind.order + ("HHQ" if kind.big else "HHI"), tag, fields[tag].kind, fields[tag].count)
        + fields[tag].inline
        for tag in sorted(fields)
    )
    at = _append(file, head + entries + struct.pack(kind.offset, next_at))
    file.seek(pointer)
    file.write(struct.pack(kind.offset, at))
