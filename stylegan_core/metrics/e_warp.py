"""Warp error by estimated motion (Lai et al. 2018, Learning Blind Video Temporal Consistency, arXiv 1808.00449).

The motion is DIS flow of the input; the paper uses FlowNet2. Like every warp error it rewards blur: compare a detail
ratio too. The input has an error of its own, from its grain, its light and errors of the flow: a model adds the excess
over it.
"""

from __future__ import annotations

import numpy as np

from stylegan_core.metrics.pictures import Floats
from stylegan_core.motion.optical_flow import LEAST_PX, Flow, estimate_flow, grey_proxy, warp_by_flow


def input_flow(later: Floats, earlier: Floats) -> Flow | None:
    """The flow from a frame of the input to the one before it; None where they are too small or differ in size.

    Args:
        later: (H, W, 3) in unit range, display-encoded.
        earlier: (H, W, 3) in unit range.
    """
    if later.shape != earlier.shape or min(later.shape[:2]) < LEAST_PX:
        return None
    return estimate_flow(grey_proxy(later), grey_proxy(earlier))


def pair_e_warp(later: Floats, earlier: Floats, flow: Flow) -> float:
    """Mean squared difference of a frame and the one before, warped onto it, where the flow can be trusted.

    Args:
        later: (H, W, 3) in unit range.
        earlier: (H, W, 3) in unit range.
        flow: of the input, from the later to the earlier frame.
    Returns:
        Mean over visible pixels and channels, in squared unit range; NaN where none is visible.
    """
    if not flow.visible.any():
        return float("nan")
    warped = warp_by_flow(earlier, flow.offset_px)
    return float(np.square((later - warped)[flow.visible]).mean(dtype=np.float64))
