"""Structural similarity (Wang et al. 2004, "Image quality assessment", IEEE TIP 13(4))."""

from __future__ import annotations

from typing import Any

import numpy as np

from stylegan_core.metrics.pictures import Floats, as_pairs

SIGMA_PX = 1.5
RADIUS_PX = 5
C1, C2 = 0.01**2, 0.03**2


def ssim(results: Any, truths: Any) -> float:
    """Mean structural similarity over channels and pictures, with the paper's Gaussian window (11 px, sigma 1.5).

    Each channel is compared separately; windows that cross the border do not count.

    Args:
        results: pictures in unit range, see ``as_pictures``.
        truths: as many, of the same shapes.
    Returns:
        At most 1, for equal pictures only.
    Raises:
        ValueError: numbers or shapes differ, or a picture is smaller than the window.
    """
    return float(np.mean([_ssim(a, b) for a, b in as_pairs(results, truths)]))


def _ssim(a: Floats, b: Floats) -> float:
    import cv2

    side = 2 * RADIUS_PX + 1
    if min(a.shape[:2]) < side:
        raise ValueError(f"SSIM needs pictures of at least {side} px a side, got {a.shape[1]} x {a.shape[0]} px")

    def blurred(x: Floats) -> Floats:
        smooth: Floats = cv2.GaussianBlur(x, (side, side), SIGMA_PX)
        return smooth[RADIUS_PX:-RADIUS_PX, RADIUS_PX:-RADIUS_PX]

    mean_a, mean_b = blurred(a), blurred(b)
    variance_a = blurred(a * a) - mean_a**2
    variance_b = blurred(b * b) - mean_b**2
    covariance = blurred(a * b) - mean_a * mean_b
    similarity = ((2 * mean_a * mean_b + C1) * (2 * covariance + C2)) / (
        (mean_a**2 + mean_b**2 + C1) * (variance_a + variance_b + C2)
    )
    return float(similarity.mean(dtype=np.float64))
