"""Guide of a frame: painted key frames, warped along the motion, and how much each pixel of the result is trusted.

Jamriska et al. 2019, Stylizing Video by Example (doi 10.1145/3306346.3323006), carry paintings along the motion too.
Here they are the input of a network, which paints where nothing is trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stylegan_core.motion.guide_chain import FlowPair
from stylegan_core.motion.guide_map import GuideMap, KeyMotion, map_guide, searched_size
from stylegan_core.motion.optical_flow import warp_by_flow
from stylegan_core.motion.plane_rows import offset_rows, plane_rows
from stylegan_core.motion.warp import Floats

NO_GUIDE_UNIT = 0.5
"""Of all channels where there is no guide: mid grey."""
GUIDE_CHANNELS = 4
"""Red, green, blue and confidence."""

Painting = Floats | NDArray[np.uint16]
"""(H, W, 3) in unit range, or in 0 to 65535; a fourth channel is where it is painted."""


@dataclass(frozen=True)
class KeyView:
    """A painted key frame, as a guide of another frame.

    Attributes:
        plate_unit: (H, W, 3) the key frame, display-encoded, of the frame's size.
        painting_unit: (H, W, 3) its painting, in the space of the guide; a fourth channel is where it is painted.
        flow: flow from the frame to the key frame and back, of any size; None: it is searched, as a small motion.
        distance: frames between both; 0: it is the frame itself.
        banned_px: see ``KeyMotion``.
    """

    plate_unit: Floats
    painting_unit: Floats
    flow: FlowPair | None = None
    distance: int = 0
    banned_px: float = 0.0


def guide_of(frame_unit: Floats, keys: Sequence[KeyView]) -> tuple[Floats, Floats]:
    """The guide of a frame from the best of several key frames at each pixel.

    Args:
        frame_unit: (H, W, 3), display-encoded, in unit range.
        keys: of the same size; without any, and for frames below ``LEAST_PX``, there is no guide.
    Returns:
        (H, W, 3) the guide, ``NO_GUIDE_UNIT`` where there is none; (H, W) its confidence in [0, 1].
    """
    size = frame_unit.shape[0], frame_unit.shape[1]
    searched = searched_size(*size)
    motions = [KeyMotion(shrunk(key.plate_unit, searched), key.flow, key.distance, key.banned_px) for key in keys]
    found = map_guide(shrunk(frame_unit, searched), motions)
    guide = guide_rows(found, [key.painting_unit for key in keys], size, 0, size[0])
    return guide[..., :3], guide[..., 3]


def guide_rows(
    guide_map: GuideMap, paintings: Sequence[Painting], size: tuple[int, int], first: int, last: int
) -> Floats:
    """Rows of a guide at the size of its frame.

    Args:
        guide_map: of the frame, at its size or smaller.
        paintings: of the key frames of the map, of the frame's size.
        size: height and width of the frame, px.
        first: row.
        last: one after the last row.
    Returns:
        (last - first, W, 4): guide in [0, 1] and confidence, which is 0 where the guide is ``NO_GUIDE_UNIT``.
    """
    rows = np.full((last - first, size[1], GUIDE_CHANNELS), NO_GUIDE_UNIT, np.float32)
    rows[..., 3] = plane_rows(guide_map.confidence_unit, size, first, last)
    choice = _chosen(guide_map.choice, size, first, last)
    for index, (painting, offset_px) in enumerate(zip(paintings, guide_map.offsets_px, strict=True)):
        here = (choice == index) & (rows[..., 3] > 0)
        if not here.any():
            continue
        warped = _warped_rows(painting, offset_px, size, first, last) * _scale(painting)
        warped = np.clip(warped, np.float32(0), np.float32(1))
        rows[here, :3] = warped[here, :3]
        if warped.shape[2] > 3:
            rows[here, 3] *= warped[here, 3]
    rows[rows[..., 3] <= 0, :3] = NO_GUIDE_UNIT
    return rows


def shrunk(unit: Floats, size: tuple[int, int]) -> Floats:
    """A picture at a smaller size, (H, W, C) to (h, w, C); itself if it has that size."""
    if unit.shape[:2] == size:
        return unit
    return np.asarray(cv2.resize(unit, size[::-1], interpolation=cv2.INTER_AREA), np.float32)


def _warped_rows(painting: Painting, offset_px: Floats | None, size: tuple[int, int], first: int, last: int) -> Floats:
    if offset_px is None:
        return painting[first:last].astype(np.float32)
    offset = offset_rows(offset_px, size, first, last)
    offset[..., 1] += first
    return warp_by_flow(painting, offset)


def _scale(painting: Painting) -> np.float32:
    return np.float32(1 / 65535 if painting.dtype == np.uint16 else 1)


def _chosen(choice: NDArray[np.uint8], size: tuple[int, int], first: int, last: int) -> NDArray[np.uint8]:
    """Rows of the choice at a larger size, by the nearest pixel."""
    height, width = choice.shape
    rows = np.arange(first, last) * height // size[0]
    columns = np.arange(size[1]) * width // size[1]
    chosen: NDArray[np.uint8] = choice[rows[:, None], columns[None, :]]
    return chosen
