"""OpenEXR reader: the pixels of each view, and the structure of the file, whose other content passes through.

The picture covers the data window only. Samples keep their bits, including infinities and NaN.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylegan_core.frames.base.sniff import CheckSize, PictureHeader
from stylegan_core.frames.formats.exr.chunks import ExrStructure, read_structure
from stylegan_core.frames.formats.exr.codec import band_rows, unpack_band
from stylegan_core.frames.formats.exr.headers import COMPRESSIONS, ExrPart, ReadAt
from stylegan_core.frames.formats.exr.layers import PrimaryLayer, find_primary_layers, other_layers

Pixels = NDArray[Any]
Window = tuple[int, int, int, int]
"""Left and top of the picture within the display window, and the display window's width and height."""
COLOUR_TAGS = ("chromaticities", "acesImageContainerFlag", "colorInteropID", "oiio:ColorSpace")
_LOSSY = frozenset({"pxr24", "b44", "b44a", "dwaa", "dwab"})


@dataclass(frozen=True, eq=False)
class ExrSource:
    """An OpenEXR file as read, with all that is needed to write it again with a new picture.

    Attributes:
        path: of the file; its other layers are copied from it on writing.
        state: its size in bytes and modification time in ns when it was read.
        structure: parts and chunks of the file.
        primary_layers: the channels of the picture of each view, the main view first.
        originals: (H, W, C) of each primary layer, as read; read-only.
    """

    path: Path
    state: tuple[int, int]
    structure: ExrStructure
    primary_layers: tuple[PrimaryLayer, ...]
    originals: tuple[Pixels, ...]


def read_exr(path: Path, check_size: CheckSize) -> ExrSource:
    """Reads an OpenEXR file.

    Args:
        path: of the file.
        check_size: raises for a size that must not be decoded.
    Raises:
        UnreadablePictureError: truncated, unfinished, damaged, without a picture, or of an unsupported kind.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        read_at = reader(file.fileno())
        structure = read_structure(read_at, status.st_size)
        layers = find_primary_layers(structure.parts)
        for layer in layers:
            part = structure.parts[layer.part]
            check_size(PictureHeader(part.width_px, part.height_px))
        originals = _unpack(structure, layers, read_at)
    return ExrSource(path, (status.st_size, status.st_mtime_ns), structure, layers, originals)


def reader(handle: int) -> ReadAt:
    """A function that reads an open file at any offset."""

    def read_at(offset: int, size: int) -> bytes:
        parts = []
        while size > 0:
            part = os.pread(handle, size, offset)
            if not part:
                break
            parts.append(part)
            offset, size = offset + len(part), size - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    return read_at


def exr_warnings(source: ExrSource) -> list[str]:
    """Messages about the file for the user."""
    parts, warnings = source.structure.parts, []
    used = {layer.part for layer in source.primary_layers}
    lossy = sorted({COMPRESSIONS[parts[number].compression] for number in used} & _LOSSY)
    if lossy == ["pxr24"]:
        kinds = {channel.sample_type for number in used for channel in parts[number].channels}
        lossy = lossy if "float32" in kinds else []
    if lossy:
        warnings.append(
            f"its compression ({', '.join(lossy).upper()}) loses detail; changed areas are compressed again"
        )
    if len(source.primary_layers) == 1 and source.primary_layers[0].view is not None:
        views = {part.text("view") for part in parts} - {None}
        if len(views) > 1 or any(part.attribute("multiView") is not None for part in parts):
            warnings.append(f"only its view {source.primary_layers[0].view} has a picture")
    return warnings


def exr_colour_tags(source: ExrSource) -> dict[str, object]:
    """Raw colour attributes in the header of the main view's part, by name."""
    part = source.structure.parts[source.primary_layers[0].part]
    tags: dict[str, object] = {}
    for name in ("colorInteropID", "oiio:ColorSpace"):
        if (text := part.text(name)) is not None:
            tags[name] = text
    layouts = {"chromaticities": ("chromaticities", "<8f"), "acesImageContainerFlag": ("int", "<i")}
    for name, (kind, layout) in layouts.items():
        found = part.attribute(name)
        if found is not None and found.kind == kind and len(found.value) == struct.calcsize(layout):
            values = struct.unpack(layout, found.value)
            tags[name] = values if len(values) > 1 else values[0]
    return tags


def exr_windows(source: ExrSource) -> tuple[Window, ...]:
    """The window of each view."""
    windows = []
    for layer in source.primary_layers:
        part = source.structure.parts[layer.part]
        display = part.attribute("displayWindow")
        assert display is not None  # every header has one
        left, top, right, bottom = struct.unpack("<4i", display.value)
        windows.append((part.data_window[0] - left, part.data_window[1] - top, right - left + 1, bottom - top + 1))
    return tuple(windows)


def exr_layers(source: ExrSource) -> tuple[str, ...]:
    """Names of the channels that pass through."""
    return other_layers(source.structure.parts, source.primary_layers)


def bodies_of_rows(
    structure: ExrStructure, number: int, top: int, rows: int, read_at: ReadAt
) -> list[tuple[tuple[int, ...], bytes]]:
    """The compressed chunks of a band of rows, for ``unpack_band``."""
    return [
        (chunk.place, read_at(chunk.offset + chunk.head, chunk.size - chunk.head))
        for chunk in structure.chunks
        if chunk.part == number and top <= chunk_top(structure.parts[number], chunk.place) < top + rows
    ]


def chunk_top(part: ExrPart, place: tuple[int, ...]) -> int:
    """The first row of a chunk, relative to the data window."""
    return place[0] - part.data_window[1] if part.tile is None else place[1] * part.tile[1]


def _unpack(structure: ExrStructure, layers: tuple[PrimaryLayer, ...], read_at: ReadAt) -> tuple[Pixels, ...]:
    pixels = []
    for layer in layers:
        part = structure.parts[layer.part]
        types = [channel.sample_type for channel in part.channels if channel.name in layer.channels]
        pixels.append(np.empty((part.height_px, part.width_px, len(layer.channels)), np.result_type(*types)))
    for number in sorted({layer.part for layer in layers}):
        part = structure.parts[number]
        step = band_rows(part)
        for top in range(0, part.height_px, step):
            rows = min(step, part.height_px - top)
            planes = unpack_band(part, top, rows, bodies_of_rows(structure, number, top, rows, read_at))
            for layer, whole in zip(layers, pixels, strict=True):
                if layer.part == number:
                    for index, name in enumerate(layer.channels):
                        whole[top : top + rows, :, index] = planes[name]
    for whole in pixels:
        whole.flags.writeable = False  # the writer compares with it
    return tuple(pixels)
