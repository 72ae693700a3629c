"""Losses that compare textures regardless of position.

Sliced Wasserstein distance of patches (Heitz et al. 2021, A Sliced Wasserstein Loss for Neural Texture Synthesis,
arXiv 2006.07229, on pixels in place of features); feature matching (Wang et al. 2018, arXiv 1711.11585).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

_DIRECTIONS = 8
"""Number of random directions of ``colour_and_surface_distance``."""
_MOST_PLACES = 64
"""Of patches along a side, about; sorting all of a crop of 128 px would be a fifth of a step."""
_SURFACE_WEIGHT = 3.0
"""Weight of the distances of zero-mean patches, which are about this much smaller than those of colours."""


def zero_mean_directions(size_px: int, count: int, device: torch.device) -> Tensor:
    """(count, 3, size, size) unit vectors of zero mean in each channel, by torch's global generator."""
    directions = torch.randn(count, 3, size_px, size_px)  # on the CPU: the same on every device, and in the checkpoint
    directions = directions - directions.mean(dim=(2, 3), keepdim=True)
    return F.normalize(directions.flatten(1), dim=1).view_as(directions).to(device)


def sliced_patch_distance(result: Tensor, truth: Tensor, directions: Tensor, stride: int = 1) -> Tensor:
    """Mean Wasserstein-1 distance of the two sets of patches along each direction.

    Args:
        result: (N, 3, H, W).
        truth: (N, 3, H, W).
        directions: (K, 3, size, size), see ``zero_mean_directions``.
        stride: of the patches; more than 1 leaves some out.
    Returns:
        A scalar; all patches of the batch are one set.
    """
    sides = (result.float(), truth.float())
    if torch.is_autocast_enabled(result.device.type):  # bf16 would quantize the values before sorting
        with torch.autocast(result.device.type, enabled=False):
            projected = [F.conv2d(side, directions, stride=stride) for side in sides]
    else:
        projected = [F.conv2d(side, directions, stride=stride) for side in sides]
    made, real = (p.transpose(0, 1).flatten(1).sort(dim=1).values for p in projected)  # (K, N * h * w)
    return (made - real).abs().mean()


def colour_and_surface_distance(made: Tensor, references: Tensor) -> Tensor:
    """Sliced distances of colours and of zero-mean patches between each result and its own reference.

    Each call has one scale and patch size, drawn by torch's global generator: over many steps, all of them.

    Args:
        made: (N, 3, H, W) in [-1, 1].
        references: (N, 3, H, W), one for each result.
    Returns:
        A scalar.
    """
    colours = F.normalize(torch.randn(_DIRECTIONS, 3), dim=1)[:, :, None, None].to(made.device)
    surfaces = zero_mean_directions((3, 5, 7)[int(torch.randint(3, ()))], _DIRECTIONS, made.device)
    distances = []
    for directions, weight, scales in ((colours, 1.0, (2, 4)), (surfaces, _SURFACE_WEIGHT, (1, 2))):
        scale = scales[int(torch.randint(2, ()))]  # sorting all pixels for their colours would be half of a step
        pairs = zip(F.avg_pool2d(made.float(), scale), F.avg_pool2d(references.float(), scale), strict=True)
        stride = max(1, made.shape[-1] // scale // _MOST_PLACES)
        apart = [sliced_patch_distance(a[None], b[None], directions, stride) for a, b in pairs]
        distances.append(weight * torch.stack(apart).mean())
    return torch.stack(distances).sum()


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
