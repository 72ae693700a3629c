"""The generator of a picture from a structure code and a texture code.

Park et al. 2020, Swapping Autoencoder for Deep Image Manipulation (arXiv 2007.00653), with the modulation of Karras et
al. 2020 (arXiv 1912.04958).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_core.networks.layers.blur_pool import doubled
from stylegan_core.networks.swap.modulated import ModulatedBlock, ModulatedConv2d

_GRAIN_SIDE = 64
"""Side of the square of noise that is repeated as tiles."""


class SwapGenerator(nn.Module):
    """A structure code (N, S, h, w) under a texture code (N, D) to a picture (N, 3, h * 2**k, w * 2**k) in [-1, 1].

    Without noise the texture of a plain sky could only be a repeating pattern. In training the noise has a random
    offset in every call unless one is given; in evaluation mode it is fixed to the frame, so that film does not
    flicker.

    Args:
        channels: of the last layer; they double with every halving of the size, up to ``most_channels``.
        structure_channels: S.
        texture_width: D.
        blocks: at the size of the structure code.
        upsamplings: doublings before the last layer.
        shuffle: 2 makes cells of 2 x 2 px in the last layer.
        most_channels: of the layers at the size of the structure code.
        anti_aliased: with ``shuffle``, doubles bilinearly before the last layer, which is at full resolution then.
    """

    grain: Tensor

    def __init__(
        self,
        channels: int,
        structure_channels: int,
        texture_width: int,
        blocks: int,
        *,
        upsamplings: int,
        shuffle: int = 1,
        most_channels: int = 512,
        anti_aliased: bool = True,
    ) -> None:
        super().__init__()
        self.shuffle = shuffle
        self.anti_aliased = anti_aliased
        cell = 1 if anti_aliased else shuffle**2  # pixels that leave the network as one
        widths = [min(channels * 2**i, most_channels) for i in range(upsamplings, -1, -1)]
        self.stem = nn.Conv2d(structure_channels, widths[0], 1)
        nn.init.kaiming_normal_(self.stem.weight, nonlinearity="linear")
        flat = [ModulatedBlock(widths[0], widths[0], texture_width, grain=True) for _ in range(blocks)]
        rising = [ModulatedBlock(a, b, texture_width, enlarge=True, grain=True) for a, b in pairwise(widths)]
        self.blocks = nn.ModuleList([*flat, *rising])
        self.register_buffer("grain", torch.randn(_GRAIN_SIDE, _GRAIN_SIDE))
        self.last = ModulatedConv2d(widths[-1], 3 * cell, texture_width, demodulate=False)
        with torch.no_grad():
            self.last.weight.mul_(0.1)  # starts near grey, where tanh has a gradient
            # All pixels of a cell start equal: an initial checkerboard persists for long.
            self.last.weight.copy_(self.last.weight[::cell].repeat_interleave(cell, dim=0))

    def draw_offsets(self) -> list[tuple[int, int]]:
        """Offsets of the noise, rows and columns, for each block: random in training, else 0.

        Drawn on the CPU by torch's global generator: the same on every device, and in the checkpoint.
        """
        if not self.training:
            return [(0, 0)] * len(self.blocks)
        rows, columns = torch.randint(_GRAIN_SIDE, (2, len(self.blocks))).tolist()
        return list(zip(rows, columns, strict=True))

    def forward(self, structure: Tensor, texture: Tensor, offsets: Sequence[tuple[int, int]] | None = None) -> Tensor:
        """The picture, fp32.

        Args:
            structure: (N, S, h, w).
            texture: (N, D).
            offsets: see ``draw_offsets``; calls with equal offsets have equal noise. None: they are drawn.
        """
        hidden = self.stem(structure.contiguous(memory_format=torch.channels_last))
        for block, offset in zip(self.blocks, offsets or self.draw_offsets(), strict=True):
            hidden = block(hidden, texture, self._grain_for(hidden, *offset))
        if self.shuffle > 1 and self.anti_aliased:
            hidden = doubled(hidden, anti_aliased=True)
        with torch.autocast(hidden.device.type, enabled=False):
            picture = self.last(hidden.float(), texture.float())
        if self.shuffle > 1 and not self.anti_aliased:
            picture = F.pixel_shuffle(picture, self.shuffle)
        return torch.tanh(picture)

    def _grain_for(self, features: Tensor, down: int, right: int) -> Tensor:
        """(1, 1, h, w) noise of unit variance."""
        height, width = features.shape[-2:]
        rows = (torch.arange(height, device=features.device) + down) % _GRAIN_SIDE
        columns = (torch.arange(width, device=features.device) + right) % _GRAIN_SIDE
        return self.grain.index_select(0, rows).index_select(1, columns)[None, None]
