"""Varied guides for training: the own painting as motion would bring it, what other places show, or nothing.

One network learns to copy strokes where it can and to paint where it must: its guides have holes of any shape, and are
sometimes missing, as behind a moving object or in a picture that is not of the shot.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_HOLE_CELLS = 4
"""Side of the grid of random numbers that holes are cut from: a quarter of the crop is the size of a hole."""
_COVERED_DEVIATION = 0.8
"""Spread of the threshold of holes: some crops are covered by the own painting, some hardly."""
_SHIFT_PX = 1.0


def vary_guide(guide: Tensor, painting: Tensor, *, own_share: float, none_share: float) -> Tensor:
    """Guides of a batch, each kept, replaced in places by the own painting, or removed.

    Args:
        guide: (N, 4, H, W) in [-1, 1]: guides by other places, and their confidence.
        painting: (N, 3, H, W) in [-1, 1], the crops' own painting.
        own_share: share of crops with the own painting, resampled as by a warp, outside of random holes.
        none_share: share of crops without a guide.
    Returns:
        (N, 4, H, W).
    """
    count, device = len(guide), guide.device
    drawn = torch.rand(count, 1, 1, 1, device=device)
    own = torch.cat([_resampled(painting), torch.ones_like(painting[:, :1])], dim=1)
    varied = torch.where((drawn < own_share) & _uncovered(painting), own, guide)
    confidence = torch.where(drawn > 1 - none_share, torch.full_like(drawn, -1.0), varied[:, 3:])
    return torch.cat([torch.where(confidence > -1, varied[:, :3], 0.0), confidence], dim=1)


def _resampled(painting: Tensor) -> Tensor:
    """The painting shifted by a part of a pixel: interpolation softens it as a warp does."""
    count, height, width = len(painting), painting.shape[2], painting.shape[3]
    shift = torch.eye(2, 3, device=painting.device).repeat(count, 1, 1)
    size_px = torch.tensor([width, height], device=painting.device)
    shift[:, :, 2] = _SHIFT_PX * (2 * torch.rand(count, 2, device=painting.device) - 1) * 2 / size_px
    grid = F.affine_grid(shift, list(painting.shape), align_corners=False)
    return F.grid_sample(painting.float(), grid, mode="bicubic", padding_mode="reflection", align_corners=False)


def _uncovered(painting: Tensor) -> Tensor:
    """(N, 1, H, W) bool: outside of random smooth holes."""
    noise = torch.randn(len(painting), 1, _HOLE_CELLS, _HOLE_CELLS, device=painting.device)
    smooth = F.interpolate(noise, painting.shape[2:], mode="bicubic", align_corners=False)
    return smooth > _COVERED_DEVIATION * torch.randn(len(painting), 1, 1, 1, device=painting.device)
