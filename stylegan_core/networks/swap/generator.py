"""The generator of a picture from a structure code and a texture code.

Park et al. 2020, Swapping Autoencoder for Deep Image Manipulation (arXiv 2007.00653), with the modulation of Karras et
al. 2020 (arXiv 1912.04958).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_core.networks.layers.blur_pool import doubled
from stylegan_core.networks.resnet import Padding
from stylegan_core.networks.swap.colours import recolour
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
        fine_channels: of the encoder's code at twice the size, added before the last block but as many features.
        colours: the result is a change of the content, whose colours are first moved to those of the texture code; see
            the encoder.
        grain: whether the blocks get noise.
        padding: of all convolutions.
        shift: the texture code also shifts features, see ``ModulatedConv2d``.
    """

    grain: Tensor

    def __init__(  # noqa: PLR0913  # options by keyword
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
        fine_channels: int = 0,
        colours: bool = False,
        grain: bool = True,
        padding: Padding = "zeros",
        shift: bool = False,
    ) -> None:
        super().__init__()
        self.shuffle = shuffle
        self.parts = [structure_channels, 4 * fine_channels]
        if colours:
            self.parts.append(3 * (shuffle * 2**upsamplings) ** 2)
        self.cell_px = shuffle * 2**upsamplings
        self.texture_width = texture_width
        self.colours = colours
        self.anti_aliased = anti_aliased
        cell = 1 if anti_aliased else shuffle**2  # pixels that leave the network as one
        widths = [min(channels * 2**i, most_channels) for i in range(upsamplings, -1, -1)]
        self.stem = nn.Conv2d(structure_channels, widths[0], 1)
        nn.init.kaiming_normal_(self.stem.weight, nonlinearity="linear")
        block = partial(ModulatedBlock, style_width=texture_width, grain=grain, padding=padding, shift=shift)
        flat = [block(widths[0], widths[0]) for _ in range(blocks)]
        rising = [block(a, b, enlarge=True) for a, b in pairwise(widths)]
        self.blocks = nn.ModuleList([*flat, *rising])
        self.fine_block = blocks  # whose result is at twice the size of the structure code
        self.fine = nn.Conv2d(fine_channels, widths[1], 1) if fine_channels else None
        self.merge = block(widths[1], widths[1], grain=False) if fine_channels else None
        self.register_buffer("grain", torch.randn(_GRAIN_SIDE, _GRAIN_SIDE))
        self.last = ModulatedConv2d(widths[-1], 3 * cell, texture_width, demodulate=False, padding=padding, shift=shift)
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
        coarse, fine, *white = torch.split(structure, self.parts, dim=1)
        texture, colours = texture[:, : self.texture_width], texture[:, self.texture_width :]
        hidden = self.stem(coarse.contiguous(memory_format=torch.channels_last))
        for index, (block, offset) in enumerate(zip(self.blocks, offsets or self.draw_offsets(), strict=True)):
            hidden = block(hidden, texture, self._grain_for(hidden, *offset))
            if self.fine is not None and self.merge is not None and index == self.fine_block:
                edges = self.fine(F.pixel_shuffle(fine, 2).contiguous(memory_format=torch.channels_last))
                hidden = self.merge(hidden + edges, texture)
        if self.shuffle > 1 and self.anti_aliased:
            hidden = doubled(hidden, anti_aliased=True)
        with torch.autocast(hidden.device.type, enabled=False):
            picture = self.last(hidden.float(), texture.float())
        if self.shuffle > 1 and not self.anti_aliased:
            picture = F.pixel_shuffle(picture, self.shuffle)
        with torch.autocast(hidden.device.type, enabled=False):
            if self.colours:
                moved = recolour(F.pixel_shuffle(white[0].float(), self.cell_px), colours.float())
                made = moved + torch.tanh(picture)
                return made if self.training else made.clamp(-1.0, 1.0)  # what is clamped has no gradient
        return torch.tanh(picture)

    def _grain_for(self, features: Tensor, down: int, right: int) -> Tensor:
        """(1, 1, h, w) noise of unit variance."""
        height, width = features.shape[-2:]
        rows = (torch.arange(height, device=features.device) + down) % _GRAIN_SIDE
        columns = (torch.arange(width, device=features.device) + right) % _GRAIN_SIDE
        return self.grain.index_select(0, rows).index_select(1, columns)[None, None]
