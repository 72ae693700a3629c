"""Warp error: the change between frames that known motion does not explain (Lai et al. 2018, arXiv 1808.00449).

It rewards blur: compare a detail ratio too.
"""

from __future__ import annotations

import numpy as np

from stylegan_core.metrics.pictures import Floats
from stylegan_core.motion.scene import SceneMotion
from stylegan_core.motion.warp import Mask, Points, sample

MARGIN_PX = 2.0
"""Border of the earlier frame, and of each layer in it, that is ignored: there the interpolation would read mirrored
pixels, or those of another layer."""


def seen_points(motion: SceneMotion, numbers: tuple[int, int], size: tuple[int, int]) -> tuple[Points, Mask]:
    """Where the earlier frame shows the points of the later one.

    Args:
        motion: of the shot.
        numbers: of the later and the earlier frame.
        size: height and width of both, px.
    Returns:
        (2, H, W) x and y in the earlier frame, px; and (H, W), the pixels that both show.
    Raises:
        KeyError: a frame's motion is not known.
        MotionError: the mask of an object cannot be used.
    """
    return motion.correspond(*numbers, size, MARGIN_PX)


def pair_warp_error(later: Floats, earlier: Floats, points: Points, seen: Mask) -> float:
    """Mean squared difference of a frame and the earlier one, warped onto it, where both see the same point.

    Args:
        later: (H, W, 3) in unit range.
        earlier: (H, W, 3) in unit range, of the same size.
        points: see ``seen_points``.
        seen: see ``seen_points``.
    Returns:
        Mean over seen pixels and channels, in squared unit range; NaN where the frames have no point in common.
    """
    if not seen.any():
        return float("nan")
    return float(((later - sample(earlier, points))[seen] ** 2).mean(dtype=np.float64))
