"""Structural validation of TIFF and BigTIFF (TIFF 6.0, 1992): sizes, bounds of strips and tiles, pages."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from mmap import mmap

import imagecodecs

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.base.sniff import CheckSize, PictureHeader

_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_INTEGER_TYPES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_MAX_PAGES = 10_000
_WORD_BYTES = 4
_YCBCR, _SEPARATE_PLANES = 6, 2
_NONE, _LZW, _DEFLATE, _OLD_DEFLATE, _PACKBITS = 1, 5, 8, 32946, 32773
_REFUSED_COLOURS = {5: "CMYK", 8: "CIE L*a*b*", 9: "ICC L*a*b*", 10: "ITU L*a*b*", 4: "a transparency mask"}


@dataclass(frozen=True)
class _Layout:
    """Layout of a page's samples in the file; a block is a strip or a tile."""

    width: int
    height: int
    block_width: int
    block_height: int
    bits: int  # of all samples of a pixel within one block
    planes: int
    tiled: bool

    def block_count(self) -> int:
        across = -(-self.width // self.block_width)
        return across * -(-self.height // self.block_height) * self.planes

    def row_bytes(self) -> int:
        return -(-self.block_width * self.bits // 8)

    def full_bytes(self) -> int:
        """Bytes of a block with all its rows."""
        return self.block_height * self.row_bytes()

    def block_bytes(self, index: int) -> int:
        """Bytes of an unpacked block; only the last strip of a plane may be shorter, and some writers pad even that."""
        rows = self.block_height
        if not self.tiled:
            per_plane = self.block_count() // self.planes
            rows = min(rows, self.height - index % per_plane * self.block_height)
        return rows * self.row_bytes()


def validate_tiff(content: bytes | mmap, check_size: CheckSize) -> PictureHeader:
    """Checks that every strip or tile of the first page lies in the file and holds as many bytes as its size needs.

    Raises:
        UnreadablePictureError: truncated, an invalid directory, or an unsupported colour type.
    """
    reader = _Reader(content)
    offset = reader.first
    first: dict[int, tuple[int, ...]] | None = None
    seen: set[int] = set()
    while offset and offset not in seen and len(seen) < _MAX_PAGES:
        seen.add(offset)
        # Directories after the first are only counted: a page that is not read may be damaged.
        try:
            tags, offset = reader.directory(offset)
        except UnreadablePictureError:
            if first is None:
                raise
            break
        first = tags if first is None else first
    if first is None:
        raise UnreadablePictureError("damaged: the TIFF has no directory")
    width, height = _one(first, 256, "width"), _one(first, 257, "height")
    if not width or not height:
        raise UnreadablePictureError(f"damaged: the TIFF declares an impossible size, {width} x {height} px")
    header = PictureHeader(width, height, len(seen))
    check_size(header)
    photometric = first.get(262, (1,))[0]
    if photometric in _REFUSED_COLOURS:
        words = _REFUSED_COLOURS[photometric]
        raise UnreadablePictureError(f"its colours are {words}: convert it to RGB or grey first")
    _check_blocks(content, first, width, height, photometric)
    return header


def _one(tags: dict[int, tuple[int, ...]], tag: int, words: str) -> int:
    if len(tags.get(tag, ())) != 1:
        raise UnreadablePictureError(f"damaged: the TIFF declares no {words}")
    return tags[tag][0]


def _check_blocks(
    content: bytes | mmap, tags: dict[int, tuple[int, ...]], width: int, height: int, photometric: int
) -> None:
    layout, offsets, counts = _layout(tags, width, height)
    if len(offsets) != layout.block_count() or (counts and len(counts) != len(offsets)):
        raise UnreadablePictureError("damaged: the TIFF's strips or tiles do not cover its declared size")
    compression = tags.get(259, (_NONE,))[0]
    subsampled = photometric == _YCBCR
    if not counts:
        counts = tuple(0 if compression != _NONE else layout.block_bytes(i) for i in range(len(offsets)))
    for index, (offset, count) in enumerate(zip(offsets, counts, strict=True)):
        if offset + count > len(content):
            raise UnreadablePictureError("truncated: the TIFF's pixels run past the end of the file")
        need = layout.block_bytes(index)
        # A writer may pad a strip to whole words; much more means that the header declares a wrong size.
        fits = need <= count < need + _WORD_BYTES or count == layout.full_bytes()
        if compression == _NONE and not subsampled and not fits:
            raise UnreadablePictureError("damaged: a strip or tile of the TIFF does not fit its declared size")
    if subsampled:
        return
    # The first and the last block together determine width, height, channels and depth.
    for index in {0, len(offsets) - 1}:
        packed = content[offsets[index] : offsets[index] + counts[index]]
        size = _unpacked_size(compression, packed, layout.full_bytes())
        if size is not None and size not in (layout.block_bytes(index), layout.full_bytes()):
            raise UnreadablePictureError("damaged: the TIFF's packed pixels do not fit its declared size")


def _layout(
    tags: dict[int, tuple[int, ...]], width: int, height: int
) -> tuple[_Layout, tuple[int, ...], tuple[int, ...]]:
    """The layout of the first page, and the offsets and byte counts of its blocks; counts may be missing."""
    samples = tags.get(277, (1,))[0]
    bits = tags.get(258, (1,) * samples)
    if len(set(bits)) != 1 or not 0 < bits[0] <= 64 or not 0 < samples <= 64:
        raise UnreadablePictureError("unsupported TIFF: its channels have different or impossible depths")
    tiled = 322 in tags
    block_width = tags[322][0] if tiled else width
    block_height = tags.get(323, (0,))[0] if tiled else min(tags.get(278, (height,))[0], height)
    offsets, counts = tags.get(324 if tiled else 273, ()), tags.get(325 if tiled else 279, ())
    if not block_width or not block_height or not offsets:
        raise UnreadablePictureError("damaged: the TIFF does not say where its pixels are")
    planes = samples if tags.get(284, (1,))[0] == _SEPARATE_PLANES else 1
    layout = _Layout(width, height, block_width, block_height, bits[0] * samples // planes, planes, tiled)
    return layout, offsets, counts


def _unpacked_size(compression: int, packed: bytes, most: int) -> int | None:
    """Bytes of a block after unpacking, about ``most`` + 1 if it holds more; None if only decoding shows it."""
    if compression in (_DEFLATE, _OLD_DEFLATE):
        try:
            return len(zlib.decompressobj().decompress(packed, most + 1))
        except zlib.error as error:
            raise UnreadablePictureError("damaged: the TIFF's packed pixels cannot be unpacked") from error
    if compression == _PACKBITS:
        return _packbits_size(packed, most)
    if compression == _LZW and not packed.startswith(b"\x00\x01"):  # not the bit-reversed variant from before TIFF 6.0
        try:
            return len(imagecodecs.lzw_decode(packed, out=most + 1))
        except RuntimeError as error:
            raise UnreadablePictureError("damaged: the TIFF's packed pixels cannot be unpacked") from error
    return None


def _packbits_size(packed: bytes, most: int) -> int:
    at = size = 0
    while at < len(packed) and size <= most:
        code = packed[at]
        if code < 128:
            size += min(code + 1, len(packed) - at - 1)
            at += code + 2
        else:
            size += 257 - code if code > 128 else 0
            at += 2 if code > 128 else 1
    return size


class _Reader:
    """Reads directories, classic and BigTIFF, in either byte order."""

    def __init__(self, content: bytes | mmap) -> None:
        self.content = content
        self.order = "<" if content[:2] == b"II" else ">"
        self.big = content[2:4] in (b"+\x00", b"\x00+")
        self.first = self.number("Q" if self.big else "I", 8 if self.big else 4)

    def number(self, code: str, at: int) -> int:
        size = struct.calcsize(self.order + code)
        if at < 0 or at + size > len(self.content):
            raise UnreadablePictureError("truncated: the TIFF's directory lies beyond the end of the file")
        return int(struct.unpack_from(self.order + code, self.content, at)[0])

    def directory(self, at: int) -> tuple[dict[int, tuple[int, ...]], int]:
        """The integer tags of a directory, and the offset of the next one, 0 after the last."""
        count = self.number("Q" if self.big else "H", at)
        entry_bytes, start = (20, at + 8) if self.big else (12, at + 2)
        if not 0 < count < 4096:
            raise UnreadablePictureError("damaged: the TIFF's directory has an impossible length")
        tags = {}
        for entry in range(start, start + count * entry_bytes, entry_bytes):
            tag, kind = self.number("H", entry), self.number("H", entry + 2)
            values = self.number("Q" if self.big else "I", entry + 4)
            inline, room = (entry + 12, 8) if self.big else (entry + 8, 4)
            size = values * _TYPE_BYTES.get(kind, 1)
            where = inline if size <= room else self.number("Q" if self.big else "I", inline)
            if where + size > len(self.content):
                raise UnreadablePictureError("truncated: a field of the TIFF's directory lies beyond the file's end")
            if kind in _INTEGER_TYPES and values:
                code = f"{self.order}{values}{_INTEGER_TYPES[kind]}"
                tags[tag] = struct.unpack_from(code, self.content, where)
        return tags, self.number("Q" if self.big else "I", start + count * entry_bytes)
