"""Decompresses and compresses chunks of an OpenEXR part with the OpenEXR library, a band of rows at a time.

Each band is a small file in memory for the library, which handles every compression; memory stays bounded, and chunks
that need not change are never touched.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.formats.exr.chunks import read_structure
from stylegan_core.frames.formats.exr.headers import ExrAttribute, ExrChannel, ExrPart, pack_headers

Plane = NDArray[Any]
"""(rows, columns) of one channel."""
Body = tuple[tuple[int, ...], bytes]
"""The place and the compressed pixels of a chunk."""
_BAND_BYTES = 8 << 20
_KEPT = ("channels", "compression", "lineOrder", "pixelAspectRatio", "screenWindowCenter", "screenWindowWidth")
_SINGLE_PART, _TILED = 2, 0x200
_INT = struct.Struct("<i")


def band_rows(part: ExrPart) -> int:
    """Rows of a band: whole chunks of about 8 MB."""
    row_bytes = part.width_px * sum(np.dtype(channel.sample_type).itemsize for channel in part.channels)
    chunks = max(1, _BAND_BYTES // (row_bytes * part.chunk_rows_px))
    return chunks * part.chunk_rows_px


def unpack_band(part: ExrPart, top: int, rows: int, bodies: Sequence[Body]) -> dict[str, Plane]:
    """Decompresses the chunks of a band.

    Args:
        part: with one level, not deep.
        top: first row in the data window, a multiple of ``part.chunk_rows_px``.
        rows: of the band.
        bodies: (place, compressed pixels) of every chunk of the band, in any order.
    Returns:
        Each channel's (rows, columns) in its own type.
    Raises:
        UnreadablePictureError: the compressed pixels are damaged.
    """
    import OpenEXR

    content = _pack_file(part, top, rows, bodies)
    try:
        channels = OpenEXR.File(io.BytesIO(content), separate_channels=True, num_threads=0).channels()
        planes = {channel.name: channels[channel.name].pixels for channel in part.channels}
    except (RuntimeError, ValueError, KeyError, MemoryError) as error:
        words = f"damaged: the EXR's pixels in its rows {top} to {top + rows - 1} cannot be decompressed"
        raise UnreadablePictureError(words) from error
    for channel in part.channels:
        plane = planes[channel.name]
        if plane.shape != (rows, part.width_px) or plane.dtype != channel.sample_type:
            raise UnreadablePictureError(f"damaged: the EXR's channel {channel.name} does not fit its declared size")
    return planes


def pack_band(part: ExrPart, top: int, planes: Mapping[str, Plane]) -> dict[tuple[int, ...], bytes]:
    """Compresses a band with the part's compression.

    Args:
        part: with one level, not deep.
        top: first row in the data window, a multiple of ``part.chunk_rows_px``.
        planes: every channel's (rows, columns) in its own type.
    Returns:
        The compressed pixels of each chunk, by its place.
    """
    import OpenEXR

    rows = next(iter(planes.values())).shape[0]
    left, first, right, _ = part.data_window
    window = ((left, first + top), (right, first + top + rows - 1))
    header: dict[str, object] = {
        "compression": OpenEXR.Compression(part.compression),
        "type": OpenEXR.scanlineimage,
        "dataWindow": window,
        "displayWindow": window,
    }
    level = part.attribute("dwaCompressionLevel")
    if level is not None and level.kind == "float" and len(level.value) == 4:
        header["dwaCompressionLevel"] = struct.unpack("<f", level.value)[0]
    if part.tile is not None:
        tiles = OpenEXR.TileDescription()
        tiles.xSize, tiles.ySize = part.tile
        header |= {"type": OpenEXR.tiledimage, "tiles": tiles}
    channels = {channel.name: _channel(channel, planes[channel.name]) for channel in part.channels}
    file = io.BytesIO()
    OpenEXR.File(header, channels, num_threads=0).write(file)
    content = file.getbuffer()

    def read_at(offset: int, size: int) -> bytes:
        return bytes(content[offset : offset + size])

    packed = {}
    for chunk in read_structure(read_at, len(content)).chunks:
        place = chunk.place if part.tile is None else (chunk.place[0], chunk.place[1] + top // part.tile[1], 0, 0)
        packed[place] = read_at(chunk.offset + chunk.head, chunk.size - chunk.head)
    return packed


def _channel(channel: ExrChannel, plane: Plane) -> Any:
    import OpenEXR

    # The library misinterprets strides.
    pixels = np.ascontiguousarray(plane, channel.sample_type)
    return OpenEXR.Channel(channel.name, pixels, 1, 1, channel.perceptually_linear)


def _pack_file(part: ExrPart, top: int, rows: int, bodies: Sequence[Body]) -> bytes:
    """A file of one part with the chunks of a band."""
    left, first, right, _ = part.data_window
    window = struct.pack("<4i", left, first + top, right, first + top + rows - 1)
    attributes = [attribute for attribute in part.attributes if attribute.name in _KEPT]
    attributes += [ExrAttribute(name, "box2i", window) for name in ("dataWindow", "displayWindow")]
    version = _SINGLE_PART
    if part.tile is not None:
        version |= _TILED
        attributes += [attribute for attribute in part.attributes if attribute.name == "tiles"]
    head = pack_headers(version, [tuple(attributes)])
    chunks = []
    for whole_place, body in sorted(bodies, key=lambda chunk: (chunk[0][1:2], chunk[0][0])):
        place = whole_place
        if part.tile is not None:
            place = (place[0], place[1] - top // part.tile[1], 0, 0)
        chunks.append(struct.pack(f"<{len(place)}i", *place) + _INT.pack(len(body)) + body)
    at, offsets = len(head) + 8 * len(chunks), []
    for chunk in chunks:
        offsets.append(at)
        at += len(chunk)
    return b"".join([head, struct.pack(f"<{len(offsets)}Q", *offsets), *chunks])
