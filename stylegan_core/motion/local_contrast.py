"""Local contrast that a mean of pictures has lost against one of them.

The mean of slightly different strokes is softer than each of them. Its fine bands are strengthened until their local
contrast is that of the sharp picture; nothing is copied from it, so that what moved in it alone stays away.
"""

from __future__ import annotations

import cv2
import numpy as np

from stylegan_core.motion.warp import Floats

REACH_PX = 25
"""Rows and columns around a pixel that its result depends on."""
LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
NOTHING = 1e-7
_BANDS_PX = (0.7, 1.5)
"""Standard deviations of the Gaussians that separate the fine bands."""
_CONTRAST_PX = 4.0
_MOST_CONTRAST = 4.0


def missing_contrast(sharp: Floats, soft: Floats, *, finest_gain: float = 1.0) -> Floats:
    """What to add to a soft picture, (H, W, 3), for the local contrast of a sharp one in the fine bands.

    Args:
        sharp: (H, W, 3).
        soft: (H, W, 3).
        finest_gain: further factor of the contrast in the finest band.
    """
    extra, rest, model = np.zeros_like(soft), soft, sharp
    for deviation_px, factor in zip(_BANDS_PX, (finest_gain, 1.0), strict=True):
        rest_below, model_below = (cv2.GaussianBlur(picture, (0, 0), deviation_px) for picture in (rest, model))
        band = rest - rest_below
        ours, theirs = (locally(np.square(fine @ LUMA)) for fine in (band, model - model_below))
        gain = np.clip(factor * np.sqrt((theirs + NOTHING) / (ours + NOTHING)), 1.0, _MOST_CONTRAST)
        extra += (gain - 1.0)[..., None] * band
        rest, model = rest_below, model_below
    return extra


def locally(plane: Floats) -> Floats:
    """(H, W) mean of a plane around each pixel."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), _CONTRAST_PX), dtype=np.float32)
