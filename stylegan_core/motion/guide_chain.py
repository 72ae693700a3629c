"""Coarse flow between the frames of a shot and a key frame: adjacent flows composed, on small grey proxies.

Between frames that are far apart a search finds little. From frame to frame the motion is small; composed, it leads to
the key frame. Each composed flow is corrected towards the key frame, so that the errors of many steps do not add up
(Crivelli et al. 2015, Robust Optical Flow Integration).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from stylegan_core.motion.optical_flow import LEAST_PX, Grey, grey_proxy, search_motion
from stylegan_core.motion.warp import Floats

PROXY_PX = 512
"""Longer side of a proxy."""
_CORRECTION, _CORRECTION_PX, _MOST_CORRECTED_PX = 0.15, 16.0, 4.0
"""Share of the error against the key frame that each step corrects, the blur of that error, and its largest value.

Adjacent flows alone keep neighbouring frames consistent, and drift; a whole correction in each frame makes edges of a
painting jump by parts of a pixel. With inked outlines the warp error was 4.0 times that of the input without
corrections, 4.4 times with these, and 9.5 times with whole ones.
"""


@dataclass(frozen=True)
class FlowPair:
    """Flow between a frame and another one, in pixels of the arrays.

    Attributes:
        there: (h, w, 2), from the frame to the other.
        back: (h, w, 2), from the other to the frame.
    """

    there: Floats
    back: Floats

    @property
    def reversed(self) -> FlowPair:
        """Seen from the other frame."""
        return FlowPair(self.back, self.there)

    def resized(self, height_px: int, width_px: int) -> FlowPair:
        """The same motion in the pixels of another size."""
        return FlowPair(_resized(self.there, height_px, width_px), _resized(self.back, height_px, width_px))


def proxy_size(height_px: int, width_px: int) -> tuple[int, int] | None:
    """Height and width of a frame's proxy; None if the frame is too small or too narrow to search motion in."""
    scale = min(1.0, PROXY_PX / max(height_px, width_px))
    height, width = round(height_px * scale), round(width_px * scale)
    return (height, width) if min(height, width) >= LEAST_PX else None


def chain_proxy(display_unit: Floats) -> Grey | None:
    """The proxy of a frame, (H, W, 3) display-encoded in unit range; None if it is too small or too narrow."""
    size = proxy_size(*display_unit.shape[:2])
    if size is None:
        return None
    return grey_proxy(cv2.resize(display_unit, size[::-1], interpolation=cv2.INTER_AREA))


def adjacent_flow(frame: Grey, following: Grey) -> FlowPair:
    """Flow between two consecutive frames, from the first to the second and back."""
    return FlowPair(search_motion(frame, following), search_motion(following, frame))


def chain_flows(proxies: Sequence[Grey], steps: Iterable[FlowPair]) -> Iterator[FlowPair]:
    """Flow between a key frame and each frame after it, as ``FlowPair`` from that frame to the key frame.

    For frames before the key frame, pass them in reverse order.

    Args:
        proxies: of the key frame and of the frames after it, all of one size.
        steps: flows between each of ``proxies`` and the next: ``adjacent_flow`` of both.
    Yields:
        For each of ``proxies`` but the first, in order.
    """
    key = proxies[0]
    height, width = key.shape
    found = FlowPair(np.zeros((height, width, 2), np.float32), np.zeros((height, width, 2), np.float32))
    for frame, step in zip(proxies[1:], steps, strict=True):
        there = step.back + sample(found.there, step.back)
        back = found.back + sample(step.there, found.back)
        found = FlowPair(
            there + _correction(search_motion(frame, key, initial_px=there) - there),
            back + _correction(search_motion(key, frame, initial_px=back) - back),
        )
        yield found


def _correction(error_px: Floats) -> Floats:
    bounded = np.clip(error_px, -_MOST_CORRECTED_PX, _MOST_CORRECTED_PX)
    smooth = cv2.GaussianBlur(bounded, (0, 0), _CORRECTION_PX)
    return np.asarray(np.float32(_CORRECTION) * smooth, np.float32)


def sample(field: Floats, offset_px: Floats) -> Floats:
    """A flow or a plane at the positions that another flow points to: linear, the border is repeated outside.

    Args:
        field: (H, W) or (H, W, C) float32.
        offset_px: (h, w, 2), px.
    Returns:
        (h, w) or (h, w, C).
    """
    height, width = offset_px.shape[:2]
    x = offset_px[..., 0] + np.arange(width, dtype=np.float32)
    y = offset_px[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    sampled = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(sampled, dtype=np.float32)


def _resized(flow: Floats, height_px: int, width_px: int) -> Floats:
    height, width = flow.shape[:2]
    if (height, width) == (height_px, width_px):
        return flow
    scale = np.array([width_px / width, height_px / height], dtype=np.float32)
    how = cv2.INTER_AREA if width_px < width else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(flow, (width_px, height_px), interpolation=how) * scale, np.float32)
