"""Sliced Wasserstein distance of colours (Rabin et al. 2011, Wasserstein Barycenter and Its Application to Texture)."""

from __future__ import annotations

from typing import Any

import numpy as np

from stylegan_core.features.patches import random_directions
from stylegan_core.metrics.pictures import Floats, as_pictures

_LEVELS = 1024


def colour_swd(a: Any, b: Any, *, directions: int = 32, seed: int = 0) -> float:
    """Distance of two sets of pictures by their colours, wherever these lie in the pictures.

    Args:
        a: pictures in unit range, see ``as_pictures``; pooled into one set of pixels.
        b: the other pictures; number and shapes may differ from those of ``a``.
        directions: random unit directions in RGB.
        seed: of the directions.
    Returns:
        Mean over directions of the 1-Wasserstein distance, by 1,024 quantiles a side, unit range; 0 for equal sets.
    Raises:
        ValueError: a side has no pictures.
    """
    axes = random_directions(1, 3, directions, seed).reshape(3, directions)
    left, right = _quantiles(as_pictures(a), axes), _quantiles(as_pictures(b), axes)
    return float(np.abs(left - right).mean(dtype=np.float64))


def _quantiles(pictures: list[Floats], axes: Floats) -> Floats:
    if not pictures:
        raise ValueError("both sides need at least one picture")
    pixels = np.concatenate([picture.reshape(-1, 3) for picture in pictures]) @ axes  # (P, K)
    levels = (np.arange(_LEVELS) + 0.5) / _LEVELS
    found: Floats = np.quantile(pixels, levels, axis=0).astype(np.float32)
    return found
