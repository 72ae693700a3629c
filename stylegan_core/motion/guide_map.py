"""Guide map of a frame: which painted key frame guides each pixel, where in it, and how much the pixel is trusted.

The flow is what ``guide_chain.py`` composes. A pixel is trusted where it returns (Ruder et al. 2016, arXiv 1604.08610)
and the key frame, warped, looks like the frame; its confidence is above a half. Elsewhere the guide shows the places of
the key frames that look most like the frame (``nearest_patches.py``), with a confidence of a half at the most. Larger
frames are searched at ``SEARCHED_PX``, so that the work and the memory are bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stylegan_core.motion.guide_chain import FlowPair, sample
from stylegan_core.motion.nearest_patches import match_patches
from stylegan_core.motion.optical_flow import LEAST_PX, grey_proxy, lands_inside, search_motion, warp_by_flow
from stylegan_core.motion.warp import Floats

SEARCHED_PX = 2048
"""Longer side at which flow is searched; the map of larger frames is enlarged."""
_RETURN_PX, _RETURN_SHARE = 0.75, 0.02
"""How far from its start a flow and its way back may end: in pixels, and as a share of the motion."""
_ALIKE_UNIT = 0.06
"""Smoothed difference of frame and warped key frame at which the trust is half."""
_SMOOTH_PX = 1.5
_HOLE_PX = 5
_DISTANCE_COST_UNIT = 0.01
"""Of the farthest key frame, beside the smoothed difference: of keys that look alike, the nearer one is chosen."""
_CHOICE_PX = 6.0
"""Standard deviation of the Gaussian over which keys are compared, for a picture of 512 px: larger areas of one key."""
_LEAST_TRUST = 0.25
"""Of the motion: below, the guide is found by appearance."""
_FULLY_TRUSTED, _FULL_SHARE = 0.9, 0.995
"""A nearer key frame that is trusted this much on this share of the frame needs no farther one beside it."""


@dataclass(frozen=True)
class KeyMotion:
    """A key frame as it is searched.

    Attributes:
        plate_unit: (h, w, 3), display-encoded, in unit range.
        flow: flow from the frame to the key frame and back, of any size; None: it is searched, as a small motion.
        distance: frames between both; 0: it is the frame itself.
        banned_px: above 0, only places that are at least so far away guide the frame, and no motion: for a key frame
            in training, which must not be guided by itself.
    """

    plate_unit: Floats
    flow: FlowPair | None
    distance: int
    banned_px: float = 0.0


@dataclass(frozen=True)
class GuideMap:
    """Where the guide of each pixel comes from, at the size that was searched.

    Attributes:
        offsets_px: for each key frame (h, w, 2) the way to it; None: it is the frame itself, or was not searched.
        choice: (h, w) index of the key frame.
        confidence_unit: (h, w) float32.
    """

    offsets_px: tuple[Floats | None, ...]
    choice: NDArray[np.uint8]
    confidence_unit: Floats


def searched_size(height_px: int, width_px: int, most_px: int | None = None) -> tuple[int, int]:
    """Height and width at which the motion of a frame is searched: at most ``most_px`` a side, or ``SEARCHED_PX``."""
    scale = min(1.0, (most_px or SEARCHED_PX) / max(height_px, width_px))
    return max(1, round(height_px * scale)), max(1, round(width_px * scale))


def map_guide(frame_unit: Floats, keys: Sequence[KeyMotion]) -> GuideMap:
    """The best of several key frames at each pixel.

    Args:
        frame_unit: (h, w, 3), display-encoded, in unit range.
        keys: of the same size; without any, and for frames below ``LEAST_PX``, nothing is trusted.
    """
    height, width = frame_unit.shape[:2]
    for index, key in enumerate(keys):
        if key.distance == 0 and not key.banned_px:
            chosen = np.full((height, width), index, np.uint8)
            return GuideMap((None,) * len(keys), chosen, np.ones((height, width), np.float32))
    moved = _map_by_motion(frame_unit, keys)
    return moved if not keys or min(height, width) < LEAST_PX else _with_patches(moved, frame_unit, keys)


def _map_by_motion(frame_unit: Floats, keys: Sequence[KeyMotion]) -> GuideMap:
    """The key frame of the most similar warp at each pixel; its trust is the confidence."""
    height, width = frame_unit.shape[:2]
    offsets: list[Floats | None] = [None] * len(keys)
    choice, trusts = np.zeros((height, width), np.uint8), np.zeros((height, width), np.float32)
    moving = [index for index, key in enumerate(keys) if not key.banned_px]
    if not moving or min(height, width) < LEAST_PX:
        return GuideMap(tuple(offsets), choice, trusts)
    farthest = max(keys[index].distance for index in moving)
    least_cost = np.full((height, width), np.inf, np.float32)
    smooth_px = _CHOICE_PX * max(height, width) / 512
    for index in sorted(moving, key=lambda index: keys[index].distance):
        key = keys[index]
        flow = _flow_to(frame_unit, key)
        offsets[index] = flow.there
        difference = appearance_difference(frame_unit, key.plate_unit, flow.there)
        trust = trusted(flow, difference)
        cost = difference + (1 - trust) + np.float32(_DISTANCE_COST_UNIT * key.distance / farthest)
        cost = cv2.GaussianBlur(cost, (0, 0), smooth_px)
        better = cost < least_cost
        least_cost = np.where(better, cost, least_cost)
        trusts, choice[better] = np.where(better, trust, trusts), index
        if (trusts > _FULLY_TRUSTED).mean() > _FULL_SHARE:
            break
    return GuideMap(tuple(offsets), choice, trusts)


def _with_patches(moved: GuideMap, frame_unit: Floats, keys: Sequence[KeyMotion]) -> GuideMap:
    """The map with places of similar appearance where the motion is not trusted."""
    wanted = moved.confidence_unit < _LEAST_TRUST
    found = match_patches(frame_unit, [key.plate_unit for key in keys], wanted, [key.banned_px for key in keys])
    confidence = np.where(wanted, 0.5 * found.similarity_unit, 0.5 + 0.5 * moved.confidence_unit).astype(np.float32)
    choice, offsets = np.where(wanted, found.key, moved.choice).astype(np.uint8), list(moved.offsets_px)
    for index, motion in enumerate(offsets):
        if (here := wanted & (choice == index)).any():
            known = np.zeros_like(found.offset_px) if motion is None else motion
            offsets[index] = np.where(here[..., None], found.offset_px, known)
    return GuideMap(tuple(offsets), choice, confidence)


def _flow_to(frame_unit: Floats, key: KeyMotion) -> FlowPair:
    """Flow from a frame to a key frame and back, (h, w, 2) each."""
    if key.flow is not None:
        return key.flow.resized(frame_unit.shape[0], frame_unit.shape[1])
    frame, plate = grey_proxy(frame_unit), grey_proxy(key.plate_unit)
    return FlowPair(search_motion(frame, plate), search_motion(plate, frame))


def appearance_difference(frame_unit: Floats, plate_unit: Floats, offset_px: Floats) -> Floats:
    """(h, w) smoothed difference of a frame and a key frame that is warped to it, mean over channels."""
    apart = np.abs(warp_by_flow(plate_unit, offset_px) - frame_unit).mean(axis=-1, dtype=np.float32)
    return np.asarray(cv2.GaussianBlur(apart, (0, 0), _SMOOTH_PX), np.float32)


def trusted(flow: FlowPair, difference_unit: Floats) -> Floats:
    """(h, w) confidence of a warp in [0, 1]: 0 where the flow does not return or leaves the key frame; soft inwards.

    Args:
        flow: from the frame to the key frame and back.
        difference_unit: see ``appearance_difference``.
    """
    returned = flow.there + sample(flow.back, flow.there)
    length = np.linalg.norm(flow.there, axis=-1)
    error = cv2.GaussianBlur(np.linalg.norm(returned, axis=-1), (0, 0), _SMOOTH_PX)  # single pixels leave no holes
    error /= _RETURN_PX + _RETURN_SHARE * length
    alike = difference_unit / _ALIKE_UNIT
    trust = np.clip(2.0 - error, 0.0, 1.0) * np.clip(1.5 - alike, 0.0, 1.0) * lands_inside(flow.there)
    # Without holes of a few pixels, which the network would fill with dots; then eroded and softened inwards: a
    # painting fades out before it is occluded.
    closed = cv2.morphologyEx(trust.astype(np.float32), cv2.MORPH_CLOSE, np.ones((_HOLE_PX, _HOLE_PX), np.uint8))
    eroded = cv2.erode(closed, np.ones((3, 3), np.uint8))
    return np.asarray(eroded * cv2.GaussianBlur(eroded, (0, 0), _SMOOTH_PX), np.float32)
