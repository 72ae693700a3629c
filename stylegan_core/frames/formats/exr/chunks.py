"""Chunks of an OpenEXR file (openexr.com, "OpenEXR File Layout"): located and validated, but not decompressed."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.formats.exr.headers import MULTI_PART, ExrPart, ReadAt, read_headers


@dataclass(frozen=True)
class ExrChunk:
    """A chunk: some lines or one tile of a part.

    Attributes:
        part: index.
        index: in the part's offset table.
        offset: of the chunk in the file.
        size: in bytes, with all its headers.
        head: bytes before the compressed pixels.
        place: (y,) of the first line, or (tile x, tile y, level x, level y).
    """

    part: int
    index: int
    offset: int
    size: int
    head: int
    place: tuple[int, ...]


@dataclass(frozen=True)
class ExrStructure:
    """The structure of a whole file.

    Attributes:
        version: the version word, with its flags.
        parts: in order.
        chunks: of all parts, in file order.
    """

    version: int
    parts: tuple[ExrPart, ...]
    chunks: tuple[ExrChunk, ...]

    @property
    def multi_part(self) -> bool:
        """Whether it is a multi-part file."""
        return bool(self.version & MULTI_PART)


def read_structure(read_at: ReadAt, file_bytes: int) -> ExrStructure:
    """Locates and validates every chunk.

    Args:
        read_at: reads the file.
        file_bytes: its size.
    Raises:
        UnreadablePictureError: truncated, unfinished, damaged or of an unknown kind.
    """
    version, parts, at = read_headers(read_at)
    multi_part = bool(version & MULTI_PART)
    found: list[ExrChunk] = []
    for number, part in enumerate(parts):
        table = read_at(at, part.chunk_count * 8)
        if len(table) < part.chunk_count * 8:
            raise UnreadablePictureError("truncated: the EXR stops inside its table of offsets")
        at += len(table)
        offsets = struct.unpack(f"<{part.chunk_count}Q", table)
        missing = offsets.count(0)
        if missing:
            raise UnreadablePictureError(f"unfinished: {missing} of {part.chunk_count} chunks were never written")
        found += [_read_chunk(read_at, parts, number, i, offset, multi_part) for i, offset in enumerate(offsets)]
        places = {chunk.place for chunk in found[-part.chunk_count :]}
        if len(places) != part.chunk_count:
            raise UnreadablePictureError("damaged: two entries of the EXR's table of offsets point to the same pixels")
    found.sort(key=lambda chunk: chunk.offset)
    for chunk, end in zip(found, [*(chunk.offset for chunk in found[1:]), file_bytes], strict=True):
        if chunk.offset < at or (chunk.offset + chunk.size > end and end != file_bytes):
            raise UnreadablePictureError("damaged: the EXR's chunks overlap")
        if chunk.offset + chunk.size > file_bytes:
            raise UnreadablePictureError("truncated: the EXR's pixels run past the end of the file")
    return ExrStructure(version, parts, tuple(found))


def _read_chunk(
    read_at: ReadAt, parts: tuple[ExrPart, ...], number: int, index: int, offset: int, multi_part: bool
) -> ExrChunk:
    part = parts[number]
    layout = "<" + "i" * multi_part + ("i" if part.tile is None else "4i") + ("3Q" if part.deep else "i")
    head = read_at(offset, struct.calcsize(layout)) if 0 <= offset < 1 << 62 else b""
    if len(head) < struct.calcsize(layout):
        raise UnreadablePictureError("truncated: the EXR's pixels run past the end of the file")
    values = struct.unpack(layout, head)
    if multi_part and values[0] != number:
        raise UnreadablePictureError("damaged: a chunk of the EXR belongs to another part")
    place = values[multi_part : multi_part + (1 if part.tile is None else 4)]
    sizes = values[multi_part + len(place) :]
    size = sum(sizes[:2]) if part.deep else sizes[0]
    if not _fits(part, place) or not 0 <= size < 1 << 62:
        raise UnreadablePictureError("damaged: a chunk of the EXR lies outside its data window")
    return ExrChunk(number, index, offset, len(head) + size, len(head), place)


def _fits(part: ExrPart, place: tuple[int, ...]) -> bool:
    if part.tile is None:
        return 0 <= place[0] - part.data_window[1] < part.height_px and not (
            (place[0] - part.data_window[1]) % part.chunk_rows_px
        )
    if part.levels:
        return min(place) >= 0
    across, down = -(-part.width_px // part.tile[0]), -(-part.height_px // part.tile[1])
    return 0 <= place[0] < across and 0 <= place[1] < down and place[2:] == (0, 0)
