"""Losses against a known truth."""

from __future__ import annotations

from torch import Tensor


def masked_l1(result: Tensor, truth: Tensor, mask_unit: Tensor | None = None) -> Tensor:
    """Mean absolute difference where the mask is, weighted by it.

    Args:
        result: (N, C, H, W).
        truth: (N, C, H, W).
        mask_unit: (N, 1, H, W) in [0, 1]; None: everywhere.
    Returns:
        A scalar; 0 for an empty mask.
    """
    difference = (result.float() - truth.float()).abs()
    if mask_unit is None:
        return difference.mean()
    weight = mask_unit.expand_as(difference)
    return (difference * weight).sum() / weight.sum().clamp(min=1.0)
