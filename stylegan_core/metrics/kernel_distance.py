"""Kernel distance of two sets of pictures on features of fixed random filters.

The unbiased estimator of Gretton et al. 2012, A Kernel Two-Sample Test; on features of a trained Inception network and
with another kernel it is KID (Binkowski et al. 2018, Demystifying MMD GANs, arXiv 1801.01401). Random filters see
colours and textures at several sizes, but no objects: compare figures with each other, not with published KIDs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylegan_core.metrics.pictures import Floats, as_pictures

SMALLEST_SIDE_PX = 32
"""The coarsest layer sees pictures at a sixteenth of their size."""
_DARKEST = 0.01
"""A negligible response, compared with 1 on natural pictures."""
_LEAST_DEVIATION = 1e-3


def random_feature_kid(a: Any, reference: Any) -> float:
    """How far a set of pictures lies from a reference set in colours and textures.

    Every statistic is normalized by the reference's mean and deviation: those that hardly vary count too.

    Args:
        a: pictures in unit range, see ``as_pictures``; at least two.
        reference: the other pictures; number and shapes may differ from those of ``a``.
    Returns:
        A squared distance, see ``kernel_distance``; near 0 for samples of one set, and then also slightly below.
    Raises:
        ValueError: a side has fewer than two pictures, or one is smaller than ``SMALLEST_SIDE_PX``.
    """
    rows, against = picture_statistics(as_pictures(a)), picture_statistics(as_pictures(reference))
    if len(against) < 2:
        raise ValueError(f"the kernel distance needs two or more on each side, not {len(rows)} and {len(against)}")
    mean, deviation = against.mean(axis=0), np.maximum(against.std(axis=0), _LEAST_DEVIATION)
    return kernel_distance((rows - mean) / deviation, (against - mean) / deviation)


def kernel_distance(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy under the kernel exp(-|x - y|^2 / (2 D)).

    The width is the distance of independent features of deviation 1. The cubic kernel of KID follows single outliers:
    on some dozens of pictures, halves of one set are then as far apart as photographs and paintings.

    Args:
        a: (N, D) features, N at least 2, of deviation about 1.
        b: (M, D), M at least 2.
    Returns:
        At most 2.
    Raises:
        ValueError: a side has fewer than two rows.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"the kernel distance needs at least two rows on each side, got {len(a)} and {len(b)}")
    left, right = a.astype(np.float64), b.astype(np.float64)

    def kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        squares = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2.0 * (x @ y.T)
        values: NDArray[np.float64] = np.exp(-squares / (2.0 * x.shape[1]))
        return values

    def mean_of_others(values: NDArray[np.float64]) -> float:
        count = len(values)  # without the similarity of a picture to itself
        return float((values.sum() - np.trace(values)) / (count * (count - 1)))

    within = mean_of_others(kernel(left, left)) + mean_of_others(kernel(right, right))
    return within - 2.0 * float(kernel(left, right).mean())


def picture_statistics(pictures: Sequence[Floats]) -> NDArray[np.float64]:
    """Logarithms of the mean and the deviation over a picture of every response of the random filters.

    Args:
        pictures: (H, W, 3) in unit range.
    Returns:
        (N, D), D = 2 * 64 responses * 10 layers.
    Raises:
        ValueError: a picture is smaller than ``SMALLEST_SIDE_PX``.
    """
    import torch

    from stylegan_core.features.random_filters import RandomFilters

    filters = RandomFilters()
    rows = []
    for picture in pictures:
        height, width = picture.shape[:2]
        if min(height, width) < SMALLEST_SIDE_PX:
            raise ValueError(
                f"random features need pictures of at least {SMALLEST_SIDE_PX} px a side, got {width} x {height} px"
            )
        signed = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None] * 2.0 - 1.0
        with torch.no_grad():
            layers = filters(signed, RandomFilters.layers)
        responses = [layer[0].flatten(1) for layer in layers.values()]  # (64, positions) each
        rows.append(torch.cat([part for r in responses for part in (r.mean(dim=1), r.std(dim=1, correction=0))]))
    statistics = torch.stack(rows).double().numpy() if rows else np.zeros((0, 1))
    logarithms: NDArray[np.float64] = np.log(statistics + _DARKEST)  # contrasts multiply: outliers weigh less
    return logarithms
