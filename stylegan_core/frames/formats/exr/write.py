"""OpenEXR writer: a copy of the source file with a new picture, or a plain new file.

A chunk without changed samples is copied in compressed form, so that even a lossy compression loses nothing there.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.formats.exr.chunks import ExrChunk
from stylegan_core.frames.formats.exr.codec import Plane, band_rows, pack_band, unpack_band
from stylegan_core.frames.formats.exr.headers import (
    COMPRESSIONS,
    SAMPLE_TYPES,
    ExrAttribute,
    ExrPart,
    ReadAt,
    pack_headers,
    read_headers,
)
from stylegan_core.frames.formats.exr.read import (
    COLOUR_TAGS,
    ExrSource,
    bodies_of_rows,
    chunk_top,
    exr_colour_tags,
    reader,
)

Pixels = NDArray[Any]
_PLAIN_VERSION = 2
_STALE_THUMBNAIL = "preview"
_BANDS_HELD = 4
# Attributes about the size and structure of the source, which a picture of another size cannot keep.
_OF_THE_SIZE = frozenset(
    {"channels", "compression", "dataWindow", "displayWindow", "lineOrder", "tiles", "type", "name", "view", "version"}
    | {"chunkCount", "multiView", "preview", "screenWindowCenter", "screenWindowWidth", "dwaCompressionLevel"}
    | {"maxSamplesPerPixel"}
)


def fits_source(source: ExrSource, views: Sequence[Pixels]) -> bool:
    """Whether pictures can replace those that were read: floats of the same number, sizes and channels."""
    shapes = [original.shape for original in source.originals]
    return all(view.dtype.kind == "f" for view in views) and [view.shape for view in views] == shapes


def rewrite_exr(
    path: Path,
    source: ExrSource,
    views: Sequence[Pixels],
    *,
    colour_tags: Mapping[str, object],
    texts: Mapping[str, str],
) -> None:
    """Writes a copy of a file with new pictures.

    Args:
        path: of the new file.
        source: from ``read_exr``.
        views: (H, W, C) for each view, see ``fits_source``; rounded to the source's types.
        colour_tags: in the form of ``exr_colour_tags``; they replace the source's if they differ.
        texts: string attributes for the header of the main view's part; they replace earlier ones.
    Raises:
        UnreadablePictureError: the source was changed or removed after it was read.
        OSError: the file cannot be written.
    """
    structure = source.structure
    headers = [part.attributes for part in structure.parts]
    if any(new is not original for new, original in zip(views, source.originals, strict=True)):
        headers = [tuple(a for a in header if a.name != _STALE_THUMBNAIL) for header in headers]
    if dict(colour_tags) != exr_colour_tags(source):
        headers = [with_colour_tags(header, colour_tags) for header in headers]
    headers[source.primary_layers[0].part] = with_texts(headers[source.primary_layers[0].part], texts)
    types = [original.dtype for original in source.originals]
    views = [view.astype(kind, copy=False) for view, kind in zip(views, types, strict=True)]
    with _open_again(source) as original, path.open("wb") as file:
        chunks = _new_chunks(source, views, reader(original.fileno()))
        _write(file, pack_headers(structure.version, headers), [part.chunk_count for part in structure.parts], chunks)


def write_new_exr(
    path: Path,
    pixels: Pixels,
    *,
    has_alpha: bool,
    kept: Sequence[ExrAttribute] = (),
    colour_tags: Mapping[str, object],
    texts: Mapping[str, str],
) -> None:
    """Writes a plain file of one part, with ZIP compression.

    Args:
        path: of the new file.
        pixels: (H, W, 1 to 4) float16 or float32; alpha, the last channel, is multiplied in.
        has_alpha: whether the last channel is alpha.
        kept: attributes of the source's header; those about its size are dropped.
        colour_tags: in the form of ``exr_colour_tags``.
        texts: string attributes.
    Raises:
        OSError: the file cannot be written.
    """
    height, width, count = pixels.shape
    names = ("Y", "A") if count <= 2 else ("R", "G", "B", "A" if has_alpha else "X")
    order = sorted(range(count), key=lambda index: names[index])
    kind = SAMPLE_TYPES.index(pixels.dtype.name)
    listed = b"".join(names[i].encode() + struct.pack("<xiB3xii", kind, 0, 1, 1) for i in order) + b"\x00"
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    header = [
        ExrAttribute("channels", "chlist", listed),
        ExrAttribute("compression", "compression", bytes([COMPRESSIONS.index("zip")])),
        ExrAttribute("dataWindow", "box2i", window),
        ExrAttribute("displayWindow", "box2i", window),
        ExrAttribute("lineOrder", "lineOrder", b"\x00"),
        ExrAttribute("screenWindowCenter", "v2f", struct.pack("<2f", 0, 0)),
        ExrAttribute("screenWindowWidth", "float", struct.pack("<f", 1)),
        *(attribute for attribute in kept if attribute.name not in _OF_THE_SIZE),
    ]
    if all(attribute.name != "pixelAspectRatio" for attribute in header):
        header.append(ExrAttribute("pixelAspectRatio", "float", struct.pack("<f", 1)))
    packed = pack_headers(_PLAIN_VERSION, [with_texts(with_colour_tags(tuple(header), colour_tags), texts)])
    (part,) = read_headers(lambda offset, size: packed[offset : offset + size])[1]

    def chunks() -> Iterator[tuple[int, int, bytes]]:
        step = band_rows(part)
        for top in range(0, height, step):
            planes = {names[i]: pixels[top : top + step, :, i] for i in range(count)}
            for place, body in sorted(pack_band(part, top, planes).items()):
                yield 0, place[0] // part.chunk_rows_px, struct.pack("<2i", place[0], len(body)) + body

    with path.open("wb") as file:
        _write(file, packed, [part.chunk_count], chunks())


def with_texts(attributes: tuple[ExrAttribute, ...], texts: Mapping[str, str]) -> tuple[ExrAttribute, ...]:
    """A header with string attributes, which replace earlier ones of the same prefix."""
    if not texts:
        return attributes
    prefixes = tuple({f"{name.partition(':')[0]}:" for name in texts})
    others = tuple(attribute for attribute in attributes if not attribute.name.startswith(prefixes))
    return (*others, *(ExrAttribute(name, "string", text.encode()) for name, text in texts.items()))


def with_colour_tags(attributes: tuple[ExrAttribute, ...], tags: Mapping[str, object]) -> tuple[ExrAttribute, ...]:
    """A header with exactly the colour attributes of ``tags``, in the form of ``exr_colour_tags``."""
    added: list[ExrAttribute] = []
    for name, value in tags.items():
        if name == "chromaticities" and isinstance(value, tuple):
            added.append(ExrAttribute(name, name, struct.pack("<8f", *value)))
        elif name == "acesImageContainerFlag" and isinstance(value, int):
            added.append(ExrAttribute(name, "int", struct.pack("<i", value)))
        elif name in ("colorInteropID", "oiio:ColorSpace"):
            added.append(ExrAttribute(name, "string", str(value).encode()))
    return (*(attribute for attribute in attributes if attribute.name not in COLOUR_TAGS), *added)


def _open_again(source: ExrSource) -> BinaryIO:
    try:
        file = source.path.open("rb")
    except FileNotFoundError as error:
        raise UnreadablePictureError(
            "it was removed while it was in use, and its other layers are needed", source.path
        ) from error
    status = os.fstat(file.fileno())
    if (status.st_size, status.st_mtime_ns) != source.state:
        file.close()
        raise UnreadablePictureError("it changed while it was in use", source.path)
    return file


def _write(file: BinaryIO, head: bytes, counts: Sequence[int], chunks: Iterator[tuple[int, int, bytes]]) -> None:
    """Writes headers, chunks given as (part, index, bytes), and the table of their offsets."""
    file.write(head)
    tables = [[0] * count for count in counts]
    file.write(bytes(8 * sum(counts)))
    for number, index, content in chunks:
        tables[number][index] = file.tell()
        file.write(content)
    file.seek(len(head))
    for table in tables:
        file.write(struct.pack(f"<{len(table)}Q", *table))


def _new_chunks(source: ExrSource, views: Sequence[Pixels], read_at: ReadAt) -> Iterator[tuple[int, int, bytes]]:
    """Every chunk in file order; those with a changed sample are compressed again, a band at a time."""
    bands: dict[tuple[int, int], dict[tuple[int, ...], bytes]] = {}  # by part and first row, oldest first
    for chunk in source.structure.chunks:
        content = read_at(chunk.offset, chunk.size)
        if len(content) != chunk.size:
            raise UnreadablePictureError("it changed while it was in use", source.path)
        if _is_changed(source, views, chunk):
            part = source.structure.parts[chunk.part]
            top = chunk_top(part, chunk.place) // band_rows(part) * band_rows(part)
            if (chunk.part, top) not in bands:
                bands[chunk.part, top] = _pack_rows(source, views, chunk.part, top, read_at)
                if len(bands) > _BANDS_HELD:
                    del bands[next(iter(bands))]
            body = bands[chunk.part, top][chunk.place]
            size_at = chunk.head - 4
            content = content[:size_at] + struct.pack("<i", len(body)) + body
        yield chunk.part, chunk.index, content


def _is_changed(source: ExrSource, views: Sequence[Pixels], chunk: ExrChunk) -> bool:
    rows, columns = _area(source.structure.parts[chunk.part], chunk)
    for layer, original, new in zip(source.primary_layers, source.originals, views, strict=True):
        if layer.part == chunk.part and original is not new:
            # Compare bits: NaN must equal itself, and -0 differs from 0.
            before, after = original[rows, columns], new[rows, columns]
            bits = f"u{original.dtype.itemsize}"
            if not np.array_equal(np.ascontiguousarray(before).view(bits), np.ascontiguousarray(after).view(bits)):
                return True
    return False


def _area(part: ExrPart, chunk: ExrChunk) -> tuple[slice, slice]:
    top = chunk_top(part, chunk.place)
    left = 0 if part.tile is None else chunk.place[0] * part.tile[0]
    right = part.width_px if part.tile is None else left + part.tile[0]
    return slice(top, top + part.chunk_rows_px), slice(left, right)


def _pack_rows(
    source: ExrSource, views: Sequence[Pixels], number: int, top: int, read_at: ReadAt
) -> dict[tuple[int, ...], bytes]:
    """Compresses a band of a part: new samples for the picture's channels, the source's for all others."""
    part = source.structure.parts[number]
    rows = min(band_rows(part), part.height_px - top)
    owned = {name for layer in source.primary_layers if layer.part == number for name in layer.channels}
    planes: dict[str, Plane] = {}
    if any(channel.name not in owned for channel in part.channels):
        planes |= unpack_band(part, top, rows, bodies_of_rows(source.structure, number, top, rows, read_at))
    types = {channel.name: channel.sample_type for channel in part.channels}
    for layer, new in zip(source.primary_layers, views, strict=True):
        if layer.part == number:
            for index, name in enumerate(layer.channels):
                planes[name] = new[top : top + rows, :, index].astype(types[name], copy=False)
    return pack_band(part, top, planes)
