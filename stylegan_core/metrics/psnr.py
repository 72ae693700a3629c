"""Peak signal-to-noise ratio, in decibels."""

from __future__ import annotations

from typing import Any

import numpy as np

from stylegan_core.metrics.mse import mse
from stylegan_core.metrics.pictures import as_pairs

LARGEST_DB = 100.0
"""The value for equal pictures, so that means stay finite (16-bit rounding alone is below it)."""


def psnr_db(results: Any, truths: Any) -> float:
    """Mean over pictures of ``-10 log10(MSE)``, peak 1, at most ``LARGEST_DB``.

    Args:
        results: pictures in unit range, see ``as_pictures``.
        truths: as many, of the same shapes.
    Raises:
        ValueError: numbers or shapes differ.
    """
    errors = [mse(a, b) for a, b in as_pairs(results, truths)]
    return float(np.mean([-10.0 * np.log10(max(error, 10.0 ** (-LARGEST_DB / 10.0))) for error in errors]))
