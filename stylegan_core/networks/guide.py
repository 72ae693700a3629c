"""Guide channels: beside a picture, the key frame's painting as this picture shows it, and how much it is trusted.

After Jamriska et al. 2019, Stylizing Video by Example (doi 10.1145/3306346.3323006), where the painting is carried
along the motion too; here it is an input of a network, which paints where no key frame reaches.
"""

from __future__ import annotations

import torch
from torch import Tensor

PICTURE_CHANNELS = 3
GUIDED_CHANNELS = 7
"""Of a guided network's input: the picture, the guide (mid grey where there is none), its confidence."""


def with_guide(content: Tensor) -> Tensor:
    """The input of a guided network: (N, 7, H, W); a picture alone has no guide, which is grey at confidence 0.

    Args:
        content: (N, 3, H, W) in [-1, 1], or (N, 7, H, W), which is returned.
    """
    if content.shape[1] == GUIDED_CHANNELS:
        return content
    grey = torch.zeros_like(content)
    return torch.cat([content, grey, torch.full_like(content[:, :1], -1.0)], dim=1)


def confidence_unit(content: Tensor) -> Tensor:
    """(N, 1, H, W) confidence of the guide in [0, 1], fp32.

    Args:
        content: (N, 7, H, W) in [-1, 1].
    """
    return (content[:, 6:7].float() + 1) / 2


def base_of(content: Tensor) -> Tensor:
    """(N, 3, H, W) what a residual change is added to: the guide by its confidence, else the picture; fp32.

    Args:
        content: (N, 3, H, W) or (N, 7, H, W) in [-1, 1].
    """
    if content.shape[1] == PICTURE_CHANNELS:
        return content.float()
    confidence = confidence_unit(content)
    return content[:, :3].float() * (1 - confidence) + content[:, 3:6].float() * confidence
