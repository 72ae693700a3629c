"""Padding of a picture to sides that any generator takes: the one rule for translation and validation."""

from __future__ import annotations

import torch
from torch import Tensor

MULTIPLE_PX = 8
"""Sides are padded to a multiple of this: three halvings, more than any recipe's generator has."""
MINIMUM_PX = 32
"""Shorter sides are padded to this, so that reflection padding inside a network has pixels to reflect."""


def pad_to_multiple(picture: Tensor) -> Tensor:
    """(N, C, H, W) extended by reflection at the bottom and right to sides of ``padded_side``."""
    height, width = picture.shape[-2:]
    return pad_reflected(picture, padded_side(height) - height, padded_side(width) - width)


def padded_side(side_px: int) -> int:
    """The least side that a generator takes and that is not shorter than ``side_px``."""
    return max(MINIMUM_PX, -(-side_px // MULTIPLE_PX) * MULTIPLE_PX)


def pad_reflected(picture: Tensor, bottom_px: int, right_px: int) -> Tensor:
    """(N, C, H, W) extended by reflection, repeatedly if needed: torch's own reflection is limited to one period."""
    if not bottom_px and not right_px:
        return picture
    rows = _reflected_indices(picture.shape[-2], bottom_px, picture.device)
    columns = _reflected_indices(picture.shape[-1], right_px, picture.device)
    return picture.index_select(-2, rows).index_select(-1, columns)


def _reflected_indices(side_px: int, extra_px: int, device: torch.device) -> Tensor:
    period = max(1, 2 * (side_px - 1))  # 0 1 2 3 2 1 | 0 1 2 ...
    position = torch.arange(side_px + extra_px, device=device) % period
    return torch.where(position < side_px, position, period - position)
