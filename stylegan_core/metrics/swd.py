"""Zero-mean patch sliced Wasserstein distance (after Rabin et al. 2011 and Karras et al. 2018, arXiv 1710.10196)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylegan_core.features.patches import (
    area_downsampled,
    patch_count,
    projected_patches,
    random_directions,
)
from stylegan_core.metrics.pictures import Floats, as_pictures

SIZES = (3, 5, 7)
SCALES = (1, 2, 4)


def patch_swd(
    a: Any,
    b: Any,
    *,
    sizes: Sequence[int] = SIZES,
    scales: Sequence[int] = SCALES,
    projections: int = 64,
    max_patches: int | None = 65_536,
    seed: int = 0,
) -> float:
    """Distance of two sets of pictures by texture, independent of position and of mean colour.

    Each patch is reduced by its mean per channel, all are projected on random directions, and along each direction the
    one-dimensional Wasserstein distance of both sides is taken; the mean over directions, sizes and scales is returned.

    Args:
        a: pictures in unit range, see ``as_pictures``; pooled into one set of patches.
        b: the other pictures; number and shapes may differ from those of ``a``.
        sizes: patch sides, px.
        scales: factors of area downsampling.
        projections: random unit directions for each size.
        max_patches: maximum number of patches a side for each size and scale, a deterministic subsample; None is all.
            Sides with the same shapes use the same positions.
        seed: of directions and subsamples.
    Returns:
        The distance in unit range (the literature's tables often quote it times 100 or 1000); 0 for equal sets.
    Raises:
        ValueError: a side has no pictures, or one is smaller than ``smallest_side_px``.
    """
    left, right = as_pictures(a), as_pictures(b)
    if not left or not right:
        raise ValueError("both sides need at least one picture")
    needed = smallest_side_px(sizes, scales)
    for picture in (*left, *right):
        if min(picture.shape[:2]) < needed:
            size_px = f"{picture.shape[1]} x {picture.shape[0]} px"
            raise ValueError(f"patch SWD needs pictures of at least {needed} px a side, got {size_px}")
    distances = []
    for scale in scales:
        small_left = [area_downsampled(picture, scale) for picture in left]
        small_right = [area_downsampled(picture, scale) for picture in right]
        for size in sizes:
            directions = random_directions(size, 3, projections, seed)
            smaller_side = min(sum(patch_count(small_left, size)), sum(patch_count(small_right, size)))
            kept = smaller_side if max_patches is None else min(smaller_side, max_patches)
            distances.append(
                _sorted_distance(
                    _projections(small_left, directions, kept, seed), _projections(small_right, directions, kept, seed)
                )
            )
    return float(np.mean(distances))


def smallest_side_px(sizes: Sequence[int] = SIZES, scales: Sequence[int] = SCALES) -> int:
    """The shortest side of a picture that holds the largest patch at every scale."""
    return max(sizes) * max(scales)


def _projections(pictures: list[Floats], directions: Floats, kept: int, seed: int) -> Floats:
    """(K, kept) projections of a side's pool of patches, subsampled where the pool is larger than ``kept``."""
    counts = patch_count(pictures, directions.shape[0])
    total = sum(counts)
    if total == kept:
        return np.concatenate([projected_patches(p, directions) for p in pictures], axis=1)
    chosen = _subsample(total, kept, seed)
    first = np.cumsum([0, *counts])
    bounds = np.searchsorted(chosen, first)
    return np.concatenate(
        [
            projected_patches(picture, directions, chosen[bounds[i] : bounds[i + 1]] - first[i])
            for i, picture in enumerate(pictures)
        ],
        axis=1,
    )


@lru_cache(maxsize=64)
def _subsample(total: int, kept: int, seed: int) -> NDArray[np.int64]:
    """``kept`` of ``total`` indices in ascending order, one from each of ``kept`` equal intervals."""
    generator = np.random.Generator(np.random.Philox(key=[seed, total]))
    edges = np.arange(kept + 1, dtype=np.int64) * total // kept
    return generator.integers(edges[:-1], edges[1:])


def _sorted_distance(a: Floats, b: Floats) -> float:
    """Mean |difference| of the sorted values along the last axis: the 1-Wasserstein distance of equal samples."""
    return float(np.abs(np.sort(a, axis=1) - np.sort(b, axis=1)).mean(dtype=np.float64))
