"""Occlusion-aware blend of the output for a frame with those for its neighbours, warped along the input's motion.

After Bonneel et al. 2015, Blind Video Temporal Consistency, and Lai et al. 2018 (arXiv 1808.00449), without a network.
A neighbour counts where its flow is consistent and the inputs look alike. The outputs are blended without the fine
structure that they keep of the input, so that grain and small motions remain those of the frame. The mean of slightly
different strokes is softer than each of them, so fine bands get the local contrast of the frame's own output back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from stylegan_core.frames.colour.srgb import display_encoded
from stylegan_core.motion.local_contrast import LUMA, NOTHING, locally, missing_contrast
from stylegan_core.motion.optical_flow import Flow, Grey, grey_proxy, warp_by_flow
from stylegan_core.motion.warp import Floats

_ALIKE_UNIT = 0.04
"""Smoothed luma difference of the inputs at which a neighbour counts 1 / e: different light, or a wrong flow."""
_SMOOTH_PX = 1.5
_MOST_SHARE, _MOST_KEPT = 2.0, 2.0


@dataclass(frozen=True)
class WarpedNeighbour:
    """A neighbour of a frame.

    Attributes:
        after_unit: (H, W, 3), the network's output for it.
        before_unit: (H, W, 3), its input.
        grey: of its input, see ``motion_proxy``.
        flow: from the frame to it.
    """

    after_unit: Floats
    before_unit: Floats
    grey: Grey
    flow: Flow


def motion_proxy(before_unit: Floats, working_space: str) -> Grey:
    """Picture for the flow estimate: (H, W) uint8 luma in display encoding, of an input in the working space."""
    return grey_proxy(display_encoded(before_unit, working_space))


def blended(
    after_unit: Floats, before_unit: Floats, grey: Grey, neighbours: Sequence[WarpedNeighbour], weight: float
) -> Floats:
    """The output for a frame, blended with those for its neighbours.

    Args:
        after_unit: (H, W, 3), the output.
        before_unit: (H, W, 3), the input.
        grey: of the input.
        neighbours: in the order of their numbers; without any, the output is returned.
        weight: of a fully trusted neighbour, relative to 1 for the frame itself; in [0, 1].
    Returns:
        (H, W, 3).
    """
    if not neighbours or weight == 0:
        return after_unit
    kept = _kept_share(after_unit, before_unit)[..., None]
    own = after_unit - kept * before_unit
    total, shares = own.copy(), np.ones(grey.shape, np.float32)
    for neighbour in neighbours:
        trust = np.float32(weight) * _trust(grey, neighbour)
        offset_px = neighbour.flow.offset_px
        after, before = (warp_by_flow(unit, offset_px) for unit in (neighbour.after_unit, neighbour.before_unit))
        total += trust[..., None] * (after - kept * before)
        shares += trust
    soft = total / shares[..., None] + kept * before_unit
    extra = missing_contrast(after_unit, soft)
    return np.asarray(soft + _share_with_detail_of(after_unit, soft, extra) * extra, np.float32)


def _trust(grey: Grey, neighbour: WarpedNeighbour) -> Floats:
    warped = warp_by_flow(neighbour.grey.astype(np.float32), neighbour.flow.offset_px)
    difference = cv2.GaussianBlur(np.abs(warped - grey) / np.float32(255.0), (0, 0), _SMOOTH_PX)
    visible = neighbour.flow.visible.astype(np.float32)
    # Softened inwards: a neighbour fades out before it is occluded.
    trust: Floats = (
        np.exp(-np.square(difference / _ALIKE_UNIT)) * visible * cv2.GaussianBlur(visible, (0, 0), _SMOOTH_PX)
    )
    return trust


def _kept_share(after_unit: Floats, before_unit: Floats) -> Floats:
    """(H, W) how much of the input's fine structure the output keeps: the gain of a grade, near 0 for a repaint.

    The slope of a local regression of the output on the input, times the explained variance.
    """
    before, after = _fine(before_unit @ LUMA), _fine(after_unit @ LUMA)
    both, ours, theirs = (locally(product) for product in (before * after, np.square(before), np.square(after)))
    factor = np.clip(both / (ours + NOTHING), 0.0, _MOST_KEPT)
    explained: Floats = np.square(both) / (ours * theirs + NOTHING**2)
    kept: Floats = factor * np.minimum(explained, 1.0)
    return kept


def _fine(plane: Floats) -> Floats:
    return np.asarray(plane - cv2.GaussianBlur(plane, (0, 0), _SMOOTH_PX), dtype=np.float32)


def _share_with_detail_of(sharp: Floats, soft: Floats, extra: Floats) -> np.float32:
    """The share of ``extra`` that gives ``soft`` the mean squared Laplacian of ``sharp``, in [0, ``_MOST_SHARE``].

    It exceeds 1 if strokes have vanished: they cannot be strengthened, so the others compensate for them.
    """
    wanted, base, more = (cv2.Laplacian(picture @ LUMA, cv2.CV_32F) for picture in (sharp, soft, extra))
    # The mean of (base + share * more)^2 is a quadratic in the share.
    square, half, lacking = (
        float(np.mean(term, dtype=np.float64)) for term in (more * more, more * base, wanted * wanted - base * base)
    )
    if square <= 0.0 or lacking <= 0.0:
        return np.float32(0.0)
    return np.float32(min((math.sqrt(half * half + square * lacking) - half) / square, _MOST_SHARE))
