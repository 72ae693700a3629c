"""Input of every metric: a picture, a list of pictures or a batch of tensors, as float32 (H, W, 3) arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float32]

LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
"""Rec. 709 weights of red, green and blue."""


def as_pictures(pictures: NDArray[Any] | Tensor | Sequence[NDArray[Any]] | Sequence[Tensor]) -> list[Floats]:
    """A list of (H, W, 3) float32 arrays, range unchanged.

    Args:
        pictures: an (H, W, 3) array; an (N, 3, H, W) or (3, H, W) tensor or, with four axes, array; or a sequence of
            (H, W, 3) arrays or (3, H, W) tensors. Arrays are pictures with channels last, unless they have four axes.
    Raises:
        ValueError: another shape, or integers (metrics take unit range).
    """
    if isinstance(pictures, (list, tuple)):
        return [picture for item in pictures for picture in as_pictures(item)]
    from_tensor = not isinstance(pictures, np.ndarray)
    array = np.asarray(pictures.detach().cpu().float() if hasattr(pictures, "detach") else pictures)
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"metrics take floats in unit range, got {array.dtype}: divide by the largest code first")
    if array.ndim == 4 and array.shape[1] == 3:
        return [np.ascontiguousarray(item.transpose(1, 2, 0), dtype=np.float32) for item in array]
    if array.ndim == 3 and from_tensor and array.shape[0] == 3:
        return [np.ascontiguousarray(array.transpose(1, 2, 0), dtype=np.float32)]
    if array.ndim == 3 and not from_tensor and array.shape[2] == 3:
        return [np.ascontiguousarray(array, dtype=np.float32)]
    raise ValueError(f"expected (H, W, 3) arrays or (N, 3, H, W) tensors, got shape {array.shape}")


def as_pairs(results: Any, truths: Any) -> list[tuple[Floats, Floats]]:
    """``results`` and ``truths`` picture by picture.

    Raises:
        ValueError: their numbers or their shapes differ, or there are none.
    """
    left, right = as_pictures(results), as_pictures(truths)
    if len(left) != len(right) or not left:
        raise ValueError(f"cannot compare {len(left)} pictures with {len(right)}: give the same number, at least one")
    for a, b in zip(left, right, strict=True):
        if a.shape != b.shape:
            raise ValueError(
                f"cannot compare a picture of {a.shape[1]} x {a.shape[0]} px with one of {b.shape[1]} x {b.shape[0]} px"
            )
    return list(zip(left, right, strict=True))


def luma(picture: Floats) -> Floats:
    """(H, W) Rec. 709 luma of an (H, W, 3) picture, in its own encoding."""
    weighted: Floats = picture @ LUMA
    return weighted
