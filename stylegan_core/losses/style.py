"""Losses that compare textures regardless of position.

Sliced Wasserstein distance of patches (Heitz et al. 2021, A Sliced Wasserstein Loss for Neural Texture Synthesis,
arXiv 2006.07229, on pixels in place of features); feature matching (Wang et al. 2018, arXiv 1711.11585).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def zero_mean_directions(size_px: int, count: int, device: torch.device) -> Tensor:
    """(count, 3, size, size) unit vectors of zero mean in each channel, by torch's global generator."""
    directions = torch.randn(count, 3, size_px, size_px)  # on the CPU: the same on every device, and in the checkpoint
    directions = directions - directions.mean(dim=(2, 3), keepdim=True)
    return F.normalize(directions.flatten(1), dim=1).view_as(directions).to(device)


def sliced_patch_distance(result: Tensor, truth: Tensor, directions: Tensor) -> Tensor:
    """Mean Wasserstein-1 distance of the two sets of patches along each direction.

    Args:
        result: (N, 3, H, W).
        truth: (N, 3, H, W).
        directions: (K, 3, size, size), see ``zero_mean_directions``.
    Returns:
        A scalar; all patches of the batch are one set.
    """
    sides = (result.float(), truth.float())
    if torch.is_autocast_enabled(result.device.type):  # bf16 would quantize the values before sorting
        with torch.autocast(result.device.type, enabled=False):
            projected = [F.conv2d(side, directions) for side in sides]
    else:
        projected = [F.conv2d(side, directions) for side in sides]
    made, real = (p.transpose(0, 1).flatten(1).sort(dim=1).values for p in projected)  # (K, N * h * w)
    return (made - real).abs().mean()


def feature_matching(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Mean absolute difference of a discriminator's features, mean over its layers.

    Args:
        fake: features of the result, any shapes.
        real: features of the truth, the same shapes; no gradient flows into them.
    Returns:
        A scalar.
    """
    pairs = zip(fake, real, strict=True)
    return torch.stack([(f.float() - r.detach().float()).abs().mean() for f, r in pairs]).mean()
