"""Warp error: the change between frames that known motion does not explain (Lai et al. 2018, arXiv 1808.00449).

It rewards blur: compare a detail ratio too.
"""

from __future__ import annotations

import numpy as np

from stylegan_core.metrics.pictures import Floats
from stylegan_core.motion.scene import SceneMotion
from stylegan_core.motion.warp import sample

MARGIN_PX = 2.0
"""Border of the earlier frame, and of each layer in it, that is ignored: there the interpolation would read mirrored
pixels, or those of another layer."""


def pair_warp_error(later: Floats, earlier: Floats, motion: SceneMotion, numbers: tuple[int, int]) -> float:
    """Mean squared difference of a frame and the earlier one, warped onto it, where both see the same point.

    Args:
        later: (H, W, 3) in unit range.
        earlier: (H, W, 3) in unit range, of the same size.
        motion: of the shot.
        numbers: of the later and the earlier frame.
    Returns:
        Mean over seen pixels and channels, in squared unit range; NaN where the frames have no point in common.
    Raises:
        KeyError: a frame's motion is not known.
        MotionError: the mask of an object cannot be used.
    """
    points, seen = motion.correspond(*numbers, (later.shape[0], later.shape[1]), MARGIN_PX)
    if not seen.any():
        return float("nan")
    return float(((later - sample(earlier, points))[seen] ** 2).mean(dtype=np.float64))
