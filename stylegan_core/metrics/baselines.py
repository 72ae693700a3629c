"""Baselines that a network has to beat: blurs and a colour transfer, tuned on the key frames.

Gaussian, median and bilateral (Tomasi & Manduchi 1998) filters, and colour transfer to the style pictures (Reinhard et
al. 2001, in CIE Lab).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stylegan_core.metrics.pictures import Floats

Score = Callable[[list[Floats]], float]
"""Maps filtered key frames to a score; larger is better."""


@dataclass(frozen=True)
class Baseline:
    """One filter with its settings.

    Attributes:
        family: "gaussian", "median", "bilateral" or "reinhard".
        settings: shown in reports, such as "sigma 1.5 px".
        apply: filters an (H, W, 3) picture in unit range.
    """

    family: str
    settings: str
    apply: Callable[[Floats], Floats]


def gaussian(picture: Floats, sigma_px: float) -> Floats:
    """Gaussian blur of an (H, W, 3) picture."""
    import cv2

    blurred: Floats = cv2.GaussianBlur(picture, (0, 0), sigma_px)
    return blurred


def median(picture: Floats, side_px: int) -> Floats:
    """Median of each channel over squares of an odd side, in 8 bits (OpenCV has large sides for no other type)."""
    import cv2

    codes = np.rint(np.clip(picture, 0.0, 1.0) * 255.0).astype(np.uint8)
    return cv2.medianBlur(codes, side_px).astype(np.float32) / np.float32(255.0)  # type: ignore[no-any-return]


def bilateral(picture: Floats, sigma_px: float, sigma_unit: float) -> Floats:
    """Bilateral filter: a blur that stops at edges.

    Args:
        picture: (H, W, 3) in unit range.
        sigma_px: of the blur.
        sigma_unit: of the colour distance, the sum of the three channels' differences.
    """
    import cv2

    side_px = 2 * round(2 * sigma_px) + 1
    smooth: Floats = cv2.bilateralFilter(picture, side_px, sigma_unit, sigma_px)
    return smooth


@dataclass(frozen=True)
class ColourStatistics:
    """Mean and standard deviation in CIE Lab, (3,) each."""

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]


def colour_statistics(pictures: Sequence[Floats]) -> ColourStatistics:
    """Statistics of all pixels of ``pictures``: at least one, (H, W, 3) in unit range."""
    pixels = np.concatenate([_lab(picture).reshape(-1, 3) for picture in pictures])
    return ColourStatistics(pixels.mean(axis=0), pixels.std(axis=0))


def reinhard(picture: Floats, style: ColourStatistics, strength: float = 1.0) -> Floats:
    """Transfers the style's mean and deviation in Lab to ``picture``; ``strength`` interpolates from the input."""
    import cv2

    lab = _lab(picture)
    own = colour_statistics([picture])
    moved = (lab - own.mean) * (style.deviation / np.maximum(own.deviation, 1e-3)) + style.mean
    rgb = np.clip(cv2.cvtColor(moved.astype(np.float32), cv2.COLOR_Lab2RGB), 0.0, 1.0)
    mixed: Floats = picture + np.float32(strength) * (rgb - picture)
    return mixed


def baselines(styles: Sequence[Floats]) -> list[Baseline]:
    """The grid of filters and settings; colour transfer only where there are style pictures."""
    grid = [
        Baseline("gaussian", f"sigma {sigma:g} px", partial(gaussian, sigma_px=sigma))
        for sigma in (0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0)
    ]
    grid += [Baseline("median", f"{side} px", partial(median, side_px=side)) for side in (3, 5, 7, 9, 11, 15)]
    grid += [
        Baseline("bilateral", f"sigma {sigma:g} px, edge {edge:g}", partial(bilateral, sigma_px=sigma, sigma_unit=edge))
        for sigma in (1.5, 3.0, 5.0)
        for edge in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
    ]
    if styles:
        statistics = colour_statistics(styles)
        grid += [
            Baseline("reinhard", f"strength {amount:g}", partial(reinhard, style=statistics, strength=amount))
            for amount in (0.5, 1.0)
        ]
    return grid


def tuned(contents: Sequence[Floats], grid: Sequence[Baseline], scores: dict[str, Score]) -> dict[str, list[Baseline]]:
    """For each metric the best setting of every family of filters.

    Args:
        contents: the content pictures of the key frames, (H, W, 3).
        grid: filters to try.
        scores: by metric; each takes the filtered key frames, in order, and is larger for better ones.
    Returns:
        By metric one baseline per family, the best first; of equals the first in ``grid``.
    """
    filtered = [[baseline.apply(content) for content in contents] for baseline in grid]
    best: dict[str, list[Baseline]] = {}
    for metric, score in scores.items():
        values = [score(pictures) for pictures in filtered]
        order = sorted(range(len(grid)), key=lambda i: -values[i])  # stable: of equals the first in grid
        families: dict[str, Baseline] = {}
        for i in order:
            families.setdefault(grid[i].family, grid[i])
        best[metric] = list(families.values())
    return best


def _lab(picture: Floats) -> Floats:
    import cv2

    lab: Floats = cv2.cvtColor(np.clip(picture, 0.0, 1.0), cv2.COLOR_RGB2Lab)
    return lab
