"""Blending of a translation and its content by a mask."""

from __future__ import annotations

from torch import Tensor


def blend_by_mask(inside: Tensor, outside: Tensor, mask_unit: Tensor | None) -> Tensor:
    """``inside`` where the mask is 1, exactly ``outside`` where it is 0.

    Args:
        inside: (N, C, H, W).
        outside: (N, C, H, W).
        mask_unit: (N, 1, H, W) in [0, 1]; None: 1 everywhere.
    """
    if mask_unit is None:
        return inside
    return inside * mask_unit + outside * (1 - mask_unit)
