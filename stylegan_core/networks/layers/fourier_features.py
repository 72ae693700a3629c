"""Fourier features of the smoothed colours of a picture: texture for smooth areas that follows the picture.

Tancik et al. 2020, Fourier Features Let Networks Learn High Frequency Functions in Low Dimensional Domains (arXiv
2006.10739), map coordinates; here colours are mapped. A network whose result shifts with its input (see ``blur_pool``)
makes an even sky even: it has nothing that a brush stroke could begin with. Waves of a colour turn a gradient that is
hardly visible into lines along it, and unlike noise or coordinates they move with the scene.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LOWEST_TURNS, _HIGHEST_TURNS = 6.0, 96.0
"""Turns of the slowest and of the fastest wave between -1 and 1."""
_WINDOW_PX, _PASSES = 5, 3
"""Of the low-pass: three means of 5 px, about a Gaussian of 2.4 px; it keeps the waves free of a camera's noise."""
_MOST_RADIANS_PER_PX = math.pi / 3
"""A wave that turns faster fades out before it can alias: six pixels are its shortest length."""
_SEED = 2006


class FourierFeatures(nn.Module):
    """(N, C, H, W) in [-1, 1] to fp32 (N, C + 2 * waves, H, W): the input, then a sine and a cosine of each wave.

    The first three channels are the picture whose colours are mapped. The waves are constants, not part of the
    weights' file, and without a gradient: it would be hundreds of times that of the picture.

    Args:
        waves: their number.
    """

    turns: Tensor

    def __init__(self, waves: int) -> None:
        super().__init__()
        rng = np.random.Generator(np.random.Philox(key=[_SEED, waves]))
        # Mostly lightness, which varies more than hue in pictures.
        directions = rng.standard_normal((waves, 3)) + 0.3
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        turns = np.geomspace(_LOWEST_TURNS, _HIGHEST_TURNS, waves)[:, None] * directions / 2
        self.register_buffer("turns", torch.from_numpy(turns).float().view(waves, 3, 1, 1), persistent=False)

    def forward(self, content: Tensor) -> Tensor:
        """The input and the waves of its first three channels."""
        colours = _smoothed(content[:, :3].detach().float())
        # Products and sums of single pixels: convolutions might round them to bf16 under autocast.
        turns = torch.stack([(colours * wave).sum(dim=1) for wave in self.turns.float()], dim=1)
        down, right = turns[:, :, 1:] - turns[:, :, :-1], turns[..., 1:] - turns[..., :-1]
        down, right = F.pad(down, (0, 0, 0, 1)), F.pad(right, (0, 1))
        speed = (2 * math.pi / _MOST_RADIANS_PER_PX) ** 2 * (down.square() + right.square())
        amplitude = torch.exp(-speed)
        radians = 2 * math.pi * (turns - turns.round())  # back ends differ in sines of large angles
        return torch.cat([content.float(), amplitude * radians.sin(), amplitude * radians.cos()], dim=1)


def _smoothed(colours: Tensor) -> Tensor:
    """A low-pass whose sums do not depend on a tile's size; the edge is replicated beyond the border."""
    margin_px = _PASSES * (_WINDOW_PX // 2)
    smooth = F.pad(colours, (margin_px,) * 4, mode="replicate")
    for _ in range(_PASSES):
        smooth = F.avg_pool2d(F.avg_pool2d(smooth, (_WINDOW_PX, 1), stride=1), (1, _WINDOW_PX), stride=1)
    return smooth
