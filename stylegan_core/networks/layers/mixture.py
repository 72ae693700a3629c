"""A mean of two pictures that keeps the contrast of their fine detail.

The mean of strokes that do not lie on each other is softer than both. With fine bands a and b and a share w of b, their
mean has an energy that is lower by w (1 - w) (a - b)^2 than the mean of their energies; the fine band of the mean is
multiplied until it has that energy again. Nothing changes where both agree, or where the share is 0 or 1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_TAPS = (1.0, 6.0, 15.0, 20.0, 15.0, 6.0, 1.0)
"""Binomial low-pass, of a deviation of 1.2 px: what it takes away is the fine band."""
_WINDOW_PX = 9
"""Side of the square in which energies are averaged."""
_NOTHING = 1e-6
_MOST_GAIN = 2.0


def mix(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Goes from the first picture to the second, without a loss of contrast between them.

    Args:
        first: (N, C, H, W).
        second: of the same shape.
        share: (N, 1, H, W) in [0, 1], of the second.
    """
    fine_first, fine_second = _fine(first), _fine(second)
    mean, fine = torch.lerp(first, second, share), torch.lerp(fine_first, fine_second, share)
    there = _energy(fine)
    lost = share * (1 - share) * _energy(fine_first - fine_second)
    gain = torch.sqrt((there + lost + _NOTHING) / (there + _NOTHING)).clamp(max=_MOST_GAIN)
    return mean + (gain - 1) * fine


def _fine(pictures: Tensor) -> Tensor:
    """Sums of shifted pictures: autocast would round a convolution to bf16, and this one is six times as slow."""
    height, width = pictures.shape[-2:]
    reach, taps = len(_TAPS) // 2, [tap / sum(_TAPS) for tap in _TAPS]
    wide = F.pad(pictures, (reach, reach, reach, reach), mode="replicate")
    rows = taps[0] * wide[..., :width]
    for shift, tap in enumerate(taps[1:], 1):
        rows = torch.add(rows, wide[..., shift : shift + width], alpha=tap)
    soft = taps[0] * rows[..., :height, :]
    for shift, tap in enumerate(taps[1:], 1):
        soft = torch.add(soft, rows[..., shift : shift + height, :], alpha=tap)
    return pictures - soft


def _energy(fine: Tensor) -> Tensor:
    """(N, 1, H, W) mean square around each pixel."""
    reach = _WINDOW_PX // 2
    squares = F.pad(fine.square().mean(dim=1, keepdim=True), (reach, reach, reach, reach), mode="replicate")
    return F.avg_pool2d(F.avg_pool2d(squares, (1, _WINDOW_PX), stride=1), (_WINDOW_PX, 1), stride=1)
