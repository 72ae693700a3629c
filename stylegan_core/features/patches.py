"""Zero-mean patches and their random projections, the feature of the patch sliced Wasserstein distance.

Sliced Wasserstein on patches: Rabin et al. 2011 and, for evaluating generators, Karras et al. 2018 (arXiv 1710.10196).
The mean per channel is subtracted from each patch, so that texture is compared and not colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def area_downsampled(picture: Floats, factor: int) -> Floats:
    """Means of whole ``factor`` x ``factor`` cells; incomplete cells at the end are dropped.

    Args:
        picture: (H, W, C).
        factor: cell side, px.
    Returns:
        (H // factor, W // factor, C).
    """
    if factor == 1:
        return picture
    height, width, channels = picture.shape
    rows, columns = height // factor, width // factor
    cells = picture[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor, channels)
    means: Floats = cells.mean(axis=(1, 3), dtype=np.float32)
    return means


@lru_cache(maxsize=64)
def random_directions(size_px: int, channels: int, count: int, seed: int) -> Floats:
    """Unit vectors of the space of patches, uniform on its sphere.

    Args:
        size_px: patch side.
        channels: of the pictures.
        count: how many directions.
        seed: the same seed gives the same directions.
    Returns:
        (size_px, size_px, channels, count), each direction of Euclidean norm 1; read only, since it is cached.
    """
    # Philox with the size in its key: the directions of one size do not depend on which other sizes are used.
    generator = np.random.Generator(np.random.Philox(key=[seed, size_px]))
    directions = generator.standard_normal((size_px, size_px, channels, count))
    directions /= np.sqrt((directions**2).sum(axis=(0, 1, 2), keepdims=True))
    unit: Floats = directions.astype(np.float32)
    unit.flags.writeable = False
    return unit


def projected_patches(picture: Floats, directions: Floats, keep: NDArray[np.int64] | None = None) -> Floats:
    """Projections of the picture's zero-mean patches.

    Args:
        picture: (H, W, C).
        directions: (size, size, C, K), see ``random_directions``.
        keep: flat indices of the patches to use, in row order of their top left corners; None is all of them.
    Returns:
        (K, P) with P = (H - size + 1) * (W - size + 1), or ``len(keep)``.
    Raises:
        ValueError: the picture is smaller than a patch.
    """
    size, _, channels, count = directions.shape
    if min(picture.shape[:2]) < size:
        raise ValueError(
            f"a picture of {picture.shape[1]} x {picture.shape[0]} px is smaller than a patch of {size} px"
        )
    # <patch - mean, direction> is <patch, direction - mean>: centring the few directions replaces centring every patch.
    centred = (directions - directions.mean(axis=(0, 1), keepdims=True)).transpose(2, 0, 1, 3)
    windows = sliding_window_view(picture, (size, size), axis=(0, 1))  # (H', W', C, size, size)
    if keep is None:
        patches = windows.reshape(-1, channels * size * size)
    else:
        rows, columns = np.divmod(keep, windows.shape[1])
        patches = windows[rows, columns].reshape(len(keep), -1)
    projected: Floats = centred.reshape(-1, count).T @ patches.T
    return projected


def patch_count(pictures: Sequence[Floats], size_px: int) -> list[int]:
    """Number of patches of side ``size_px`` in each picture, overlaps included."""
    return [(p.shape[0] - size_px + 1) * (p.shape[1] - size_px + 1) for p in pictures]
