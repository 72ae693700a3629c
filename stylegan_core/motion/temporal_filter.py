"""Temporal filter: means of what a frame and its neighbours show, along the motion.

Texler et al. 2020 (arXiv 2004.14489) filter plates in time before their network sees them, after Bennett and McMillan
2005, Video Enhancement Using Per-Pixel Virtual Exposures (doi 10.1145/1073204.1073272): grain and compression are not
the network's to paint. Guides are filtered too: places that each frame finds by appearance alone jump from one to the
next. A neighbour counts where forward and backward flow agree and both frames look alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from stylegan_core.motion.guide_chain import FlowPair
from stylegan_core.motion.guide_map import appearance_difference
from stylegan_core.motion.local_contrast import REACH_PX, missing_contrast
from stylegan_core.motion.optical_flow import consistent, warp_by_flow
from stylegan_core.motion.plane_rows import offset_rows, plane_rows
from stylegan_core.motion.warp import Floats

Rows = Callable[[int, int], Floats]
"""Rows of a picture, from the first to before the last: (last - first, W, C)."""

FILTER_SEARCHED_PX = 1024
"""Longer side at which the motion between neighbours is searched: at 2048 it would take longer than a small network."""
_ALIKE_UNIT = 0.15
"""Smoothed difference of frame and warped neighbour at which it counts 1 / e: a flash, or a wrong flow."""
_SMOOTH_PX = 1.5
_GUIDE_WEIGHT = 0.75
"""Of a neighbour's guide, where that of the frame itself is 1. Chosen on `running_car`, oil: the warp error is 1.27
times the input's, 1.33 times with 0.5, at a detail ratio of 0.98 and 0.99."""
_FINEST_GAIN = 1.15
"""Of a guide's finest band, which interpolation between pixels softens. Chosen on `tennis`, oil: a detail ratio of 0.9;
1.25 gives 1.01 for a fifth more patch SWD, and 1.12 gives 0.885."""
_INTERPOLATED_PX = 4
"""Rows on both sides of a position that a Lanczos kernel of 8 px reads."""
_STEPS_A_PX = np.float32(32)
_LEAST_SHARE = 1e-6


@dataclass(frozen=True)
class NeighbourMotion:
    """A neighbour of a frame, at the size that was searched.

    Attributes:
        offset_px: (h, w, 2), from the frame to it.
        weight_unit: (h, w), how much it counts.
    """

    offset_px: Floats
    weight_unit: Floats


def neighbour_motion(frame_unit: Floats, neighbour_unit: Floats, flow: FlowPair) -> NeighbourMotion:
    """Where a neighbour shows what a frame shows.

    Args:
        frame_unit: (h, w, 3), display-encoded, in unit range.
        neighbour_unit: of the same size.
        flow: from the frame to the neighbour and back, of the same size.
    """
    visible = consistent(flow.there, flow.back).astype(np.float32)
    difference = appearance_difference(frame_unit, neighbour_unit, flow.there)
    # Softened inwards: a neighbour fades out before it is occluded.
    weight = np.exp(-np.square(difference / _ALIKE_UNIT)) * visible * cv2.GaussianBlur(visible, (0, 0), _SMOOTH_PX)
    return NeighbourMotion(flow.there, weight.astype(np.float32))


def filtered_plate(
    own: Rows, neighbours: Sequence[tuple[NeighbourMotion, Rows]], size: tuple[int, int], first: int, last: int
) -> Floats:
    """Rows of a frame, averaged with its neighbours.

    Args:
        own: rows of the frame, (H, W, 3) in [0, 1].
        neighbours: with their rows, of the same size.
        size: height and width of the frame, px.
        first: row.
        last: one after the last row.
    Returns:
        (last - first, W, 3).
    """
    total = own(first, last).astype(np.float32)
    if not neighbours:
        return total
    shares = np.ones((last - first, size[1], 1), np.float32)
    for motion, rows in neighbours:
        weight, seen = _weight_rows(motion, size, first, last), _warped(motion, rows, size, first, last)
        total = total + weight * seen
        shares += weight
    return np.asarray(total / shares, np.float32)


def filtered_guide(
    own: Rows, neighbours: Sequence[tuple[NeighbourMotion, Rows]], size: tuple[int, int], first: int, last: int
) -> Floats:
    """Rows of a guide, averaged with those of its neighbours by confidence, and with its own local contrast.

    Args:
        own: rows of the guide and its confidence, (H, W, 4) in [0, 1].
        neighbours: with the rows of theirs, of the same size.
        size: height and width of the frame, px.
        first: row.
        last: one after the last row.
    Returns:
        (last - first, W, 4) in [0, 1].
    """
    if not neighbours:
        return own(first, last)
    begin, end = max(0, first - REACH_PX), min(size[0], last + REACH_PX)
    guide = own(begin, end)
    colours, confidence = guide[..., :3] * guide[..., 3:], guide[..., 3:].copy()
    shares = np.ones_like(confidence)
    for motion, rows in neighbours:
        weight = np.float32(_GUIDE_WEIGHT) * _weight_rows(motion, size, begin, end)
        seen = _warped(motion, rows, size, begin, end)
        colours += weight * seen[..., 3:] * seen[..., :3]
        confidence += weight * seen[..., 3:]
        shares += weight
    known = confidence > _LEAST_SHARE
    mean = np.where(known, colours / np.maximum(confidence, np.float32(_LEAST_SHARE)), guide[..., :3])
    mean += known * missing_contrast(guide[..., :3], mean, finest_gain=_FINEST_GAIN)
    inside = slice(first - begin, last - begin)
    filtered = np.concatenate([mean, confidence / shares], axis=2)[inside]
    return np.asarray(np.clip(filtered, np.float32(0), np.float32(1)), np.float32)


def _weight_rows(motion: NeighbourMotion, size: tuple[int, int], first: int, last: int) -> Floats:
    return plane_rows(motion.weight_unit, size, first, last)[..., None]


def _warped(motion: NeighbourMotion, rows: Rows, size: tuple[int, int], first: int, last: int) -> Floats:
    """Rows of a neighbour as the frame shows them; only those rows are made that the flow leads to."""
    # In the steps of OpenCV's interpolation: else the last bits of a coordinate decide in bands otherwise than in one.
    offset_px = np.rint(offset_rows(motion.offset_px, size, first, last) * _STEPS_A_PX) / _STEPS_A_PX
    offset_px[plane_rows(motion.weight_unit, size, first, last) == 0] = 0  # a wrong flow may lead far away
    down = offset_px[..., 1] + np.arange(first, last, dtype=np.float32)[:, None]
    begin = int(np.clip(np.floor(down.min()) - _INTERPOLATED_PX, 0, max(0, first - _INTERPOLATED_PX)))
    end = int(np.clip(np.ceil(down.max()) + _INTERPOLATED_PX + 1, min(size[0], last + _INTERPOLATED_PX), size[0]))
    offset_px[..., 1] += first - begin
    return np.clip(warp_by_flow(rows(begin, end), offset_px), np.float32(0), np.float32(1))
