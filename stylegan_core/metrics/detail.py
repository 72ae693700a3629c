"""Detail ratio: fine structure of a result over that of the truth, by Laplacian variance (Pech-Pacheco et al. 2000)."""

from __future__ import annotations

from typing import Any

import numpy as np

from stylegan_core.metrics.pictures import Floats, as_pictures, luma


def laplacian_variance(picture: Floats) -> float:
    """Variance of the 4-neighbour Laplacian of the luma, without border pixels.

    Args:
        picture: (H, W, 3) in unit range, at least 3 px a side.
    """
    y = luma(picture)
    centre = y[1:-1, 1:-1]
    laplacian = y[:-2, 1:-1] + y[2:, 1:-1] + y[1:-1, :-2] + y[1:-1, 2:] - 4.0 * centre
    return float(laplacian.var(dtype=np.float64))


def detail_ratio(results: Any, truths: Any) -> float:
    """Laplacian variance of the results over that of the truths: below 1 is blurred, above 1 is noisy.

    Args:
        results: pictures in unit range, see ``as_pictures``.
        truths: the pictures to compare with; number and shapes may differ.
    Returns:
        Ratio of the means over pictures; infinite where the truths are flat and the results are not.
    Raises:
        ValueError: a side has no pictures.
    """
    left, right = as_pictures(results), as_pictures(truths)
    if not left or not right:
        raise ValueError("both sides need at least one picture")
    above = float(np.mean([laplacian_variance(p) for p in left]))
    below = float(np.mean([laplacian_variance(p) for p in right]))
    if below == 0.0:
        return 1.0 if above == 0.0 else float("inf")
    return above / below
