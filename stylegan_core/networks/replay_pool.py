"""A pool of earlier fakes for the discriminator (Shrivastava et al. 2016, arXiv 1612.07828).

Learning from Simulated and Unsupervised Images through Adversarial Training: a discriminator that also sees fakes from
some steps ago does not forget what it learned from them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ReplayPool(nn.Module):
    """Fakes of earlier steps, in buffers, so that a checkpoint includes them and a resumed run draws the same.

    Args:
        pictures: size of the pool; 0: no pool.
        side_px: of the square pictures.
    """

    kept: Tensor
    filled: Tensor

    def __init__(self, pictures: int, side_px: int) -> None:
        super().__init__()
        # Half precision is far finer than the 8 bits that the reals have, and halves the checkpoint.
        self.register_buffer("kept", torch.zeros(pictures, 3, side_px, side_px, dtype=torch.float16))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def exchange(self, fakes: Tensor) -> Tensor:
        """Adds fakes and returns as many: the same ones while the pool fills, then earlier ones for half of them.

        Args:
            fakes: (N, 3, side_px, side_px), detached.
        Returns:
            (N, 3, side_px, side_px) of the same type.
        """
        capacity = len(self.kept)
        if capacity == 0:
            return fakes
        given = []
        slots, coins = torch.randint(capacity, (len(fakes),)), torch.rand(len(fakes))  # on the CPU, for exact resume
        draws = zip(torch.split(fakes, 1), slots.to(fakes.device), coins.to(fakes.device), strict=True)
        for fake, drawn, coin in draws:
            # All in tensors: reading the fill level from a GPU would synchronize in every step.
            fills = self.filled < capacity
            slot = torch.where(fills, self.filled, drawn).view(1)
            earlier = self.kept.index_select(0, slot)
            swaps = ~fills & (coin < 0.5)
            given.append(torch.where(swaps, earlier.to(fake.dtype), fake))
            self.kept.index_copy_(0, slot, torch.where(fills | swaps, fake.to(earlier.dtype), earlier))
            self.filled.add_(fills.long())
        return torch.cat(given)
