"""Kernel distance of two sets of pictures on features of a named extractor.

The unbiased estimator of Gretton et al. 2012, A Kernel Two-Sample Test; on features of a trained Inception network and
with another kernel it is KID (Binkowski et al. 2018, Demystifying MMD GANs, arXiv 1801.01401): compare figures of one
extractor with each other, not with published KIDs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stylegan_core.metrics.picture_features import FeatureStatistics, feature_statistics
from stylegan_core.metrics.pictures import Floats, as_pictures

if TYPE_CHECKING:
    from stylegan_core.choices import ExtractorName

_LEAST_DEVIATION = 1e-3


def random_feature_kid(a: Any, reference: Any) -> float:
    """``feature_kernel_distance`` on fixed random filters: colours and textures, but no objects."""
    return feature_kernel_distance(a, reference, "random_filters")


def feature_kernel_distance(a: Any, reference: Any, extractor: ExtractorName) -> float:
    """How far a set of pictures lies from a reference set in the features of an extractor.

    Args:
        a: pictures in unit range, see ``as_pictures``; at least two.
        reference: the other pictures; number and shapes may differ from those of ``a``.
        extractor: never the one that trained the model that is evaluated.
    Returns:
        A squared distance, see ``kernel_distance``; near 0 for samples of one set, and then also slightly below.
    Raises:
        ValueError: a side has fewer than two pictures, or one is smaller than ``SMALLEST_SIDE_PX``.
        WeightsError: the extractor's weights are missing.
    """
    sides = (feature_statistics(as_pictures(side), extractor) for side in (a, reference))
    return distance_of_statistics(*sides)


def distance_of_statistics(a: FeatureStatistics, reference: FeatureStatistics) -> float:
    """``feature_kernel_distance`` of statistics that are computed already.

    Every statistic is normalized by the mean and deviation of both sides together, the two weighing alike: those that
    hardly vary count too. A few reference pictures alone underestimate the deviation of channels that seldom respond,
    and any other picture is then as far away as possible.

    Raises:
        ValueError: a side has fewer than two pictures.
    """
    rows, against = a.rows, reference.rows
    if min(len(rows), len(against)) < 2:
        raise ValueError(
            f"the kernel distance needs at least two rows on each side, got {len(rows)} and {len(against)}"
        )
    mean = (rows.mean(axis=0) + against.mean(axis=0)) / 2
    square = (np.square(rows - mean).mean(axis=0) + np.square(against - mean).mean(axis=0)) / 2
    deviation = np.maximum(np.sqrt(square), _LEAST_DEVIATION)
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


def picture_statistics(pictures: Sequence[Floats], extractor: ExtractorName = "random_filters") -> NDArray[np.float64]:
    """Statistics of every channel of an extractor's layers, see ``FeatureStatistics.rows``.

    Args:
        pictures: (H, W, 3) in unit range.
        extractor: its name.
    Returns:
        (N, D); of the random filters D = 2 * 64 responses * 10 layers.
    Raises:
        ValueError: a picture is smaller than ``SMALLEST_SIDE_PX``.
        WeightsError: the extractor's weights are missing.
    """
    return feature_statistics(pictures, extractor).rows
