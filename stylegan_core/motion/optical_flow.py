"""Optical flow between frames by dense inverse search (DIS), and the mask where it is consistent.

Kroeger et al. 2016, Fast Optical Flow using Dense Inverse Search (arXiv 1603.03590); the test for occlusions is that of
Ruder et al. 2016, Artistic Style Transfer for Videos (arXiv 1604.08610), after Sundaram et al. 2010.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stylegan_core.motion.warp import Floats, Mask

Grey = NDArray[np.uint8]

Preset = Literal["fast", "medium"]

LEAST_PX = 32
"""Smaller frames have no flow: the search starts on downsampled copies that hold at least a patch."""

_LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)


@dataclass(frozen=True)
class Flow:
    """The position of each pixel of a frame in another frame.

    Attributes:
        offset_px: (H, W, 2), added to x and y.
        visible: (H, W), True where the other frame shows the same point.
    """

    offset_px: Floats
    visible: Mask


def grey_proxy(picture: Floats) -> Grey:
    """The picture that flow is estimated on: (H, W) uint8 luma of (H, W, 3) in unit range, display-encoded."""
    grey: Grey = np.rint((np.clip(picture, 0.0, 1.0) @ _LUMA) * 255.0).astype(np.uint8)
    return grey


def estimate_flow(frame: Grey, other: Grey, preset: Preset = "medium") -> Flow:
    """Flow from ``frame`` to ``other``, with the mask of forward-backward consistency.

    Args:
        frame: (H, W) uint8, see ``grey_proxy``.
        other: of the same shape.
        preset: of the search: "medium" is slower and more accurate.
    Raises:
        ValueError: the shapes differ, or a side is shorter than ``LEAST_PX``.
    """
    if frame.shape != other.shape or min(frame.shape) < LEAST_PX:
        raise ValueError(
            f"optical flow needs two frames of one size, at least {LEAST_PX} px a side: got {frame.shape[1]} x "
            f"{frame.shape[0]} and {other.shape[1]} x {other.shape[0]} px"
        )
    there, back = search_motion(frame, other, preset), search_motion(other, frame, preset)
    return Flow(there, consistent(there, back))


def search_motion(frame: Grey, other: Grey, preset: Preset = "medium", *, initial_px: Floats | None = None) -> Floats:
    """(H, W, 2) flow from ``frame`` to ``other``, px, without a mask; independent of the number of threads.

    Args:
        frame: (H, W) uint8.
        other: of the same shape.
        preset: of the search.
        initial_px: (H, W, 2), a candidate of every patch at every scale, beside those that the search finds itself.
    """
    import cv2

    efforts = {"fast": cv2.DISOPTICAL_FLOW_PRESET_FAST, "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM}
    # An instance keeps buffers of its last call: threads must not share one.
    start = None if initial_px is None else np.array(initial_px, dtype=np.float32)  # a copy: it is overwritten
    found: Floats = cv2.DISOpticalFlow.create(efforts[preset]).calc(frame, other, start)
    return found


def consistent(there: Floats, back: Floats) -> Mask:
    """Where a flow is consistent (Ruder et al.): the backward flow returns, and there is no motion boundary.

    Args:
        there: (H, W, 2), px, forward flow.
        back: (H, W, 2), px, backward flow.
    Returns:
        (H, W) of the frame.
    """
    returned = warp_by_flow(back, there)
    apart = _squares(there + returned)
    returns = apart <= 0.01 * (_squares(there) + _squares(returned)) + 0.5
    slopes = sum(_squares(_forward_difference(there, axis)) for axis in (0, 1))
    smooth = slopes <= 0.01 * _squares(there) + 0.002
    mask: Mask = returns & smooth & lands_inside(there)
    return mask


def warp_by_flow(picture: Floats | NDArray[np.uint16], offset_px: Floats) -> Floats:
    """Backward warp by a flow: result(x) = picture(x + offset(x)), with a Lanczos kernel of 8 px.

    Linear interpolation would blur the warped picture, and blur counts as a change.

    Args:
        picture: (H, W) or (H, W, C) float32, or uint16, which is rounded and clipped to its range.
        offset_px: (h, w, 2), px.
    Returns:
        (h, w) or (h, w, C); the picture is mirrored at its border.
    """
    import cv2

    height, width = offset_px.shape[:2]
    x = offset_px[..., 0] + np.arange(width, dtype=np.float32)
    y = offset_px[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    warped = cv2.remap(picture, x, y, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(warped, dtype=np.float32)


def _squares(vectors: Floats) -> Floats:
    squared: Floats = np.square(vectors).sum(axis=-1)
    return squared


def _forward_difference(flow: Floats, axis: int) -> Floats:
    return np.diff(flow, axis=axis, append=np.take(flow, [-1], axis=axis))


def lands_inside(offset_px: Floats) -> Mask:
    """(H, W) whether a flow, (H, W, 2) in pixels, stays inside the picture."""
    height, width = offset_px.shape[:2]
    x = offset_px[..., 0] + np.arange(width, dtype=np.float32)
    y = offset_px[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    inside: Mask = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
    return inside
