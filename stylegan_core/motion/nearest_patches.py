"""Nearest patches: for pixels of a frame, the places in key frames that look most like them.

Image Analogies (Hertzmann et al. 2001, doi 10.1145/383259.383295) by a nearest-neighbour field: an exhaustive search at
a small size, then propagation and refinement up the pyramid (after Barnes et al. 2009, PatchMatch, doi
10.1145/1531326.1531330). It guides where motion fails: behind a person who moves on, or after a fast turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from stylegan_core.motion.warp import Floats

Indices = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

_EXHAUSTIVE_PX, _MOST_SEARCHED_PX = 112, 512
"""Longer sides of the exhaustive search and of the finest one; places are enlarged from there."""
_BATCH = 1024
"""Pixels whose distances to all places are in memory at once."""
_KEEP = 0.98
"""A new place must be this much nearer: equal places stay, so that neighbours show connected pieces."""
_CONTEXT_SPACING = 3
"""Distance of the samples in the outer patch, which is seen through a blur of 3 px."""
_CONTEXT_WEIGHT = 0.7
_LAB_RANGE = 50.0
_FARTHEST = 50.0
_SIMILAR = 0.3
"""Squared distance of descriptors at which the similarity is 1 / e."""
_AROUND = ((0, 1), (0, -1), (1, 0), (-1, 0))
_REACH_PX = (4, 2, 1)
"""Distances from which places are propagated, in this order."""


@dataclass(frozen=True)
class PatchMap:
    """A nearest-neighbour field from a frame to key frames.

    Attributes:
        key: (H, W) index of the key frame; 0 where nothing was wanted.
        offset_px: (H, W, 2) x and y from the pixel to its place in the key frame, whole numbers for small frames.
        similarity_unit: (H, W), 1 for an equal patch; 0 where nothing was wanted.
    """

    key: Indices
    offset_px: Floats
    similarity_unit: Floats


def match_patches(
    frame_unit: Floats, plates_unit: Sequence[Floats], wanted: Mask, banned_px: Sequence[float] = ()
) -> PatchMap:
    """The places that look most like each pixel.

    Args:
        frame_unit: (H, W, 3), display-encoded, in unit range.
        plates_unit: key frames of the same size and encoding, at least one.
        wanted: (H, W), the pixels to search for.
        banned_px: of each key frame: nearer places than this are not used. For a key frame that is the frame itself;
            none by default.
    """
    height, width = wanted.shape
    found: _Places | None = None
    banned = np.array(banned_px or [0.0] * len(plates_unit), np.float32)
    for size in _pyramid(height, width) if wanted.any() else []:
        found = _search_level(frame_unit, plates_unit, wanted, banned * (size[1] / width), found, size)
    if found is None:
        empty = np.zeros((height, width), np.float32)
        return PatchMap(np.zeros((height, width), np.int32), np.zeros((height, width, 2), np.float32), empty)
    field = found.resized(height, width)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    offset_px = np.stack([field.column - columns, field.row - rows], axis=-1).astype(np.float32)
    similarity = np.where(wanted, np.exp(-np.minimum(field.distance, _FARTHEST) / np.float32(_SIMILAR)), 0.0)
    return PatchMap(field.key, offset_px, similarity.astype(np.float32))


@dataclass(frozen=True)
class _Places:
    """A nearest-neighbour field, (h, w) each: number of the key frame, row, column, squared distance."""

    key: Indices
    row: Indices
    column: Indices
    distance: Floats

    def resized(self, height: int, width: int) -> _Places:
        """Places of a larger picture: each pixel continues the piece of the smaller one that it lies in."""
        h, w = self.key.shape
        if (h, w) == (height, width):
            return self
        rows, columns = np.arange(height, dtype=np.int32), np.arange(width, dtype=np.int32)
        y, x = (rows * h // height)[:, None], (columns * w // width)[None]
        shift_y, shift_x = self.row[y, x] - y, self.column[y, x] - x
        row = np.rint(rows[:, None] + shift_y * (height / h)).astype(np.int32)
        column = np.rint(columns[None] + shift_x * (width / w)).astype(np.int32)
        row, column = np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
        return _Places(self.key[y, x], row, column, self.distance[y, x])


def _pyramid(height: int, width: int) -> list[tuple[int, int]]:
    """Sizes (height, width) of the levels, small to large, each at most twice the one before."""
    longer = max(height, width)
    finest = min(longer, _MOST_SEARCHED_PX)
    sides = [finest]
    while sides[-1] > _EXHAUSTIVE_PX:
        sides.append(-(-sides[-1] // 2))
    return [(max(1, round(height * side / longer)), max(1, round(width * side / longer))) for side in reversed(sides)]


def _search_level(
    frame_unit: Floats,
    plates_unit: Sequence[Floats],
    wanted: Mask,
    banned_px: Floats,
    start: _Places | None,
    size: tuple[int, int],
) -> _Places:
    """The field at one size: exhaustive if there is no start, else refined."""
    height, width = size
    table = np.stack([_descriptors(plate, size) for plate in plates_unit])  # (K, h, w, D)
    frame = _descriptors(frame_unit, size)
    asked = cv2.resize(wanted.astype(np.uint8), (width, height), interpolation=cv2.INTER_AREA) > 0
    asked |= cv2.dilate(asked.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    rows, columns = (index.astype(np.int32) for index in np.nonzero(asked))
    if start is None:
        key, row, column, distance = _exhaustive(frame[rows, columns], table, rows, columns, banned_px)
        key_plane, row_plane, column_plane = (np.zeros(size, np.int32) for _ in range(3))
        field = _Places(key_plane, row_plane, column_plane, np.full(size, np.inf, np.float32))
    else:
        field = start.resized(height, width)
        key, row, column = (part[rows, columns] for part in (field.key, field.row, field.column))
        distance = _distance(frame[rows, columns], table, key, row, column)
    field.key[rows, columns], field.row[rows, columns], field.column[rows, columns] = key, row, column
    field.distance[rows, columns] = distance
    return _refined(field, frame, table, rows, columns, banned_px)


def _exhaustive(
    frame: Floats, table: Floats, rows: Indices, columns: Indices, banned_px: Floats
) -> tuple[Indices, Indices, Indices, Floats]:
    """The nearest places of all, for (Q, D) descriptors at (Q,) rows and columns."""
    count, height, width, channels = table.shape
    flat = table.reshape(-1, channels)
    squares = np.square(flat).sum(axis=1)
    nearest = np.empty(len(frame), np.int64)
    least = np.empty(len(frame), np.float32)
    for at in range(0, len(frame), _BATCH):
        part = slice(at, at + _BATCH)
        distances = squares[None] - 2.0 * (frame[part] @ flat.T)
        for key in np.nonzero(banned_px > 0)[0]:
            down, across = np.arange(height, dtype=np.int32)[:, None], np.arange(width, dtype=np.int32)[None]
            near = _near(down, across, rows[part, None, None], columns[part, None, None], banned_px[key])
            distances.reshape(-1, count, height, width)[:, key][near] = np.inf
        nearest[part] = distances.argmin(axis=1)
        least[part] = np.take_along_axis(distances, nearest[part, None], axis=1)[:, 0]
    places = np.stack(np.unravel_index(nearest, (count, height, width))).astype(np.int32)
    distance = np.maximum(least + np.square(frame).sum(axis=1), 0.0).astype(np.float32)
    return places[0], places[1], places[2], distance


def _refined(
    field: _Places, frame: Floats, table: Floats, rows: Indices, columns: Indices, banned_px: Floats
) -> _Places:
    """The field after each pixel has tried the places around its own, and beside those of its neighbours."""
    height, width = field.key.shape
    own = frame[rows, columns]

    def try_places(key: Indices, row: Indices, column: Indices, allowed: Mask) -> None:
        row, column = np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
        distance = _distance(own, table, key, row, column)
        better = allowed & (distance < _KEEP * field.distance[rows, columns])
        better &= ~_near(row, column, rows, columns, banned_px[key])
        at = rows[better], columns[better]
        field.key[at], field.row[at], field.column[at] = key[better], row[better], column[better]
        field.distance[at] = distance[better]

    everywhere = np.ones(len(rows), bool)
    for down, right in _AROUND:
        key, row, column = (part[rows, columns] for part in (field.key, field.row, field.column))
        try_places(key, row + down, column + right, everywhere)
    for reach in _REACH_PX:
        for down, right in ((0, reach), (0, -reach), (reach, 0), (-reach, 0)):
            y, x = np.clip(rows - down, 0, height - 1), np.clip(columns - right, 0, width - 1)
            searched = np.isfinite(field.distance[y, x])
            try_places(field.key[y, x], field.row[y, x] + (rows - y), field.column[y, x] + (columns - x), searched)
    return field


def _distance(frame: Floats, table: Floats, key: Indices, row: Indices, column: Indices) -> Floats:
    apart: Floats = np.square(table[key, row, column] - frame).sum(axis=-1)
    return apart


def _near(row: Indices, column: Indices, rows: Indices, columns: Indices, banned_px: float | Floats) -> Mask:
    near: Mask = (np.abs(row - rows) < banned_px) & (np.abs(column - columns) < banned_px)
    return near


def _descriptors(picture_unit: Floats, size: tuple[int, int]) -> Floats:
    """(h, w, D) what a patch of 5 px and its surroundings look like: low cosine coefficients of CIELAB channels."""
    height, width = size
    if picture_unit.shape[:2] != size:
        picture_unit = cv2.resize(picture_unit, (width, height), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(np.ascontiguousarray(picture_unit, np.float32), cv2.COLOR_RGB2LAB) / np.float32(_LAB_RANGE)
    blurred = cv2.blur(lab, (3, 3), borderType=cv2.BORDER_REFLECT_101)
    planes = []
    for picture, spacing, weight in ((lab, 1, 1.0), (blurred, _CONTEXT_SPACING, _CONTEXT_WEIGHT)):
        kernels = _cosines(spacing)
        for channel in range(3):
            orders = ((0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0)) if channel == 0 else ((0, 0), (0, 1), (1, 0))
            for down, across in orders:
                plane = cv2.sepFilter2D(
                    picture[..., channel], cv2.CV_32F, kernels[across], kernels[down], borderType=cv2.BORDER_REFLECT_101
                )
                planes.append(plane * np.float32(weight))
    return np.stack(planes, axis=-1)


def _cosines(spacing: int) -> list[Floats]:
    """The first three cosines over 5 samples, with zeros between; norm 1 each."""
    samples = np.arange(5)
    kernels = []
    for order in range(3):
        cosine = np.cos(np.pi * order * (samples + 0.5) / 5)
        kernel = np.zeros(4 * spacing + 1, np.float32)
        kernel[::spacing] = cosine / np.linalg.norm(cosine) / np.sqrt(5)
        kernels.append(kernel)
    return kernels
