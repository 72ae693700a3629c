"""Mean squared error."""

from __future__ import annotations

from typing import Any

import numpy as np

from stylegan_core.metrics.pictures import as_pairs


def mse(results: Any, truths: Any) -> float:
    """Mean over pixels, channels and pictures of the squared difference, in squared unit range.

    Args:
        results: pictures in unit range, see ``as_pictures``.
        truths: as many, of the same shapes.
    Raises:
        ValueError: numbers or shapes differ.
    """
    return float(np.mean([np.mean((a - b) ** 2, dtype=np.float64) for a, b in as_pairs(results, truths)]))
