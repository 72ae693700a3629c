"""Warp error: the change between frames that known motion does not explain (Lai et al. 2018, arXiv 1808.00449).

It rewards blur: compare a detail ratio too.
"""

from __future__ import annotations

import numpy as np

from stylegan_core.metrics.pictures import Floats
from stylegan_core.motion.camera import CameraMotion
from stylegan_core.motion.warp import visible, warp

MARGIN_PX = 2.0
"""Border of the earlier frame that is ignored: there the interpolation would read mirrored pixels."""


def pair_warp_error(later: Floats, earlier: Floats, motion: CameraMotion, numbers: tuple[int, int]) -> float:
    """Mean squared difference of a frame and the earlier one, warped onto it, where both see the same point.

    Args:
        later: (H, W, 3) in unit range.
        earlier: (H, W, 3) in unit range.
        motion: of the shot.
        numbers: of the later and the earlier frame.
    Returns:
        Mean over seen pixels and channels, in squared unit range; NaN where the frames have no point in common.
    Raises:
        KeyError: a frame's motion is not known.
    """
    matrix = motion.between(*numbers)
    mask = visible(matrix, earlier.shape[:2], later.shape[:2], MARGIN_PX)
    if not mask.any():
        return float("nan")
    warped = warp(earlier, matrix, (later.shape[0], later.shape[1]))
    return float(((later - warped)[mask] ** 2).mean(dtype=np.float64))
