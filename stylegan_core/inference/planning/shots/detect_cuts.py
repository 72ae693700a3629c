"""Cut detection: scenedetect's adaptive detector on small 8-bit proxies (https://www.scenedetect.com).

A frame starts a shot if it differs much from the one before, and much more than its neighbours do from theirs: fast
motion is not a cut. Only the three frames before and the two after count, so that the result does not depend on which
part of a film is examined.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

Proxy = NDArray[np.uint8]
"""(``PROXY_HEIGHT_PX``, ``PROXY_WIDTH_PX``, 3), display-encoded blue, green and red."""

PROXY_WIDTH_PX, PROXY_HEIGHT_PX = 160, 90
REACH = 3
"""Frames to each side that the decision depends on."""

_WINDOW = 2  # frames to each side that a difference is compared with
_LEAST_RATIO = 3.0
_LEAST_DIFFERENCE = 15.0  # of 255, mean over hue, saturation and value


def proxy_of(display_unit: NDArray[np.float32]) -> Proxy:
    """The proxy of (H, W, 3) display-encoded red, green and blue in unit range."""
    unit = cv2.resize(display_unit, (PROXY_WIDTH_PX, PROXY_HEIGHT_PX), interpolation=cv2.INTER_AREA)
    proxy: Proxy = np.rint(np.clip(unit[..., ::-1], 0.0, 1.0) * 255.0).astype(np.uint8)
    return proxy


def find_cuts(proxies: Iterable[Proxy | None]) -> list[int]:
    """Positions of frames that start a shot, without the first.

    Args:
        proxies: of consecutive frames, in order; None could not be read: the next frame belongs to the same shot.
    """
    from scenedetect import FrameTimecode
    from scenedetect.detectors import AdaptiveDetector

    detector = AdaptiveDetector(
        adaptive_threshold=_LEAST_RATIO, min_scene_len=1, window_width=_WINDOW, min_content_val=_LEAST_DIFFERENCE
    )
    positions: list[int] = []  # of the frames that the detector has processed
    found: list[int] = []

    def process(position: int, proxy: Proxy) -> None:
        cuts = detector.process_frame(FrameTimecode(len(positions), fps=24.0), proxy)
        positions.append(position)
        found.extend(positions[cut.frame_num] for cut in cuts)

    last: tuple[int, Proxy] | None = None
    for position, proxy in enumerate(proxies):
        if proxy is None:
            continue
        if last is None:
            for _ in range(_WINDOW):  # the ends are repeated: the detector needs neighbours
                process(position, proxy)
        process(position, proxy)
        last = (position, proxy)
    if last is not None:
        for _ in range(_WINDOW):
            process(*last)
    return sorted(set(found))
