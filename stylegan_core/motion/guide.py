"""Guide of a frame: painted key frames, warped along the motion, and how much each pixel of the result is trusted.

Jamriska et al. 2019, Stylizing Video by Example (doi 10.1145/3306346.3323006), carry paintings along the motion too.
The flow is searched at full resolution between the frame and the key frame itself, from the start that
``guide_chain.py`` composes. A pixel is trusted where the flow returns (Ruder et al. 2016, arXiv 1604.08610) and the key
frame, warped, looks like the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from stylegan_core.motion.guide_chain import FlowPair, sample
from stylegan_core.motion.optical_flow import LEAST_PX, grey_proxy, search_motion, warp_by_flow
from stylegan_core.motion.warp import Floats

NO_GUIDE_UNIT = 0.5
"""Of all channels where there is no guide: mid grey."""
_MOST_SEARCHED_PX = 2048
"""Longer side at which flow is searched; that of larger frames is enlarged."""
_RETURN_PX, _RETURN_SHARE = 0.75, 0.02
"""How far from its start a flow and its way back may end: in pixels, and as a share of the motion."""
_ALIKE_UNIT = 0.06
"""Smoothed difference of frame and warped key frame at which the trust is half."""
_SMOOTH_PX = 1.5
_DISTANCE_COST_UNIT = 0.01
"""Of the farthest key frame, beside the smoothed difference: of keys that look alike, the nearer one is chosen."""
_CHOICE_PX = 6.0
"""Standard deviation of the Gaussian over which keys are compared, for a picture of 512 px: larger areas of one key."""


@dataclass(frozen=True)
class KeyView:
    """A painted key frame, as a guide of another frame.

    Attributes:
        plate_unit: (H, W, 3) the key frame, display-encoded, of the frame's size.
        painting_unit: (H, W, 3) its painting, in the space of the guide.
        flow: coarse flow from the frame to the key frame and back, of any size; None: the motion is small or unknown.
        distance: frames between both; 0: it is the frame itself.
    """

    plate_unit: Floats
    painting_unit: Floats
    flow: FlowPair | None = None
    distance: int = 0


def guide_of(frame_unit: Floats, keys: Sequence[KeyView]) -> tuple[Floats, Floats]:
    """The best of several key frames at each pixel.

    Args:
        frame_unit: (H, W, 3), display-encoded, in unit range.
        keys: of the same size; without any, and for frames below ``LEAST_PX``, there is no guide.
    Returns:
        (H, W, 3) the guide, ``NO_GUIDE_UNIT`` where there is none; (H, W) its confidence in [0, 1].
    """
    height, width = frame_unit.shape[:2]
    guide = np.full((height, width, 3), NO_GUIDE_UNIT, np.float32)
    confidence = np.zeros((height, width), np.float32)
    for key in keys:
        if key.distance == 0:
            return key.painting_unit.astype(np.float32), np.ones((height, width), np.float32)
    if not keys or min(height, width) < LEAST_PX:
        return guide, confidence
    farthest = max(key.distance for key in keys)
    least_cost = np.full((height, width), np.inf, np.float32)
    smooth_px = _CHOICE_PX * max(height, width) / 512
    for key in sorted(keys, key=lambda key: key.distance):
        flow = refine_flow(frame_unit, key)
        difference = appearance_difference(frame_unit, key.plate_unit, flow.there)
        trust = trusted(flow, difference)
        cost = difference + (1 - trust) + np.float32(_DISTANCE_COST_UNIT * key.distance / farthest)
        cost = cv2.GaussianBlur(cost, (0, 0), smooth_px)
        better = cost < least_cost
        least_cost = np.where(better, cost, least_cost)
        confidence = np.where(better, trust, confidence)
        guide[better] = warp_by_flow(key.painting_unit, flow.there)[better]
    guide = np.clip(guide, 0.0, 1.0)
    guide[confidence <= 0] = NO_GUIDE_UNIT
    return guide, confidence


def refine_flow(frame_unit: Floats, key: KeyView) -> FlowPair:
    """Flow from a frame to a key frame and back, (H, W, 2) each, searched from the coarse flow."""
    height, width = frame_unit.shape[:2]
    scale = min(1.0, _MOST_SEARCHED_PX / max(height, width))
    size = (max(LEAST_PX, round(height * scale)), max(LEAST_PX, round(width * scale)))
    frame, plate = (_searched(unit, size) for unit in (frame_unit, key.plate_unit))
    start = None if key.flow is None else key.flow.resized(*size)
    there = search_motion(frame, plate, initial_px=None if start is None else start.there)
    back = search_motion(plate, frame, initial_px=None if start is None else start.back)
    return FlowPair(there, back).resized(height, width)


def appearance_difference(frame_unit: Floats, plate_unit: Floats, offset_px: Floats) -> Floats:
    """(H, W) smoothed difference of a frame and a key frame that is warped to it, mean over channels."""
    apart = np.abs(warp_by_flow(plate_unit, offset_px) - frame_unit).mean(axis=-1, dtype=np.float32)
    return np.asarray(cv2.GaussianBlur(apart, (0, 0), _SMOOTH_PX), np.float32)


def trusted(flow: FlowPair, difference_unit: Floats) -> Floats:
    """(H, W) confidence of a warp in [0, 1]: 0 where the flow does not return or leaves the key frame; soft inwards.

    Args:
        flow: from the frame to the key frame and back.
        difference_unit: see ``appearance_difference``.
    """
    returned = flow.there + sample(flow.back, flow.there)
    length = np.linalg.norm(flow.there, axis=-1)
    error = np.linalg.norm(returned, axis=-1) / (_RETURN_PX + _RETURN_SHARE * length)
    alike = difference_unit / _ALIKE_UNIT
    trust = np.clip(2.0 - error, 0.0, 1.0) * np.clip(1.5 - alike, 0.0, 1.0) * _lands_inside(flow.there)
    # Eroded, then softened inwards: a painting fades out before it is occluded.
    eroded = cv2.erode(trust.astype(np.float32), np.ones((3, 3), np.uint8))
    return np.asarray(eroded * cv2.GaussianBlur(eroded, (0, 0), _SMOOTH_PX), np.float32)


def _searched(unit: Floats, size: tuple[int, int]) -> np.ndarray:
    if unit.shape[:2] != size:
        unit = cv2.resize(unit, size[::-1], interpolation=cv2.INTER_AREA)
    return grey_proxy(unit)


def _lands_inside(offset_px: Floats) -> np.ndarray:
    height, width = offset_px.shape[:2]
    x = offset_px[..., 0] + np.arange(width, dtype=np.float32)
    y = offset_px[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    inside: np.ndarray = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
    return inside
