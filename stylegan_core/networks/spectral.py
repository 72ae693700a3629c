"""Spectral normalization of a convolution (Miyato et al. 2018, arXiv 1802.05957).

Unlike torch's own it works in fp32 under autocast, and leaves its buffers alone in eval mode by construction.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize


class SpectralNorm(nn.Module):
    """Divides a weight by its largest singular value, estimated by one power iteration a training call.

    The two singular vectors are buffers, hence part of the state: a resumed run continues the iteration exactly.
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        rows = weight.detach().flatten(1)  # (out, in * k * k)
        self.register_buffer("u", F.normalize(torch.randn(rows.shape[0]), dim=0))
        self.register_buffer("v", F.normalize(torch.randn(rows.shape[1]), dim=0))
        for _ in range(15):  # a settled start
            self._iterate(rows)

    @torch.no_grad()
    def _iterate(self, rows: Tensor) -> None:
        self.v.copy_(F.normalize(rows.t() @ self.u, dim=0))
        self.u.copy_(F.normalize(rows @ self.v, dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight over its largest singular value, same shape."""
        with torch.autocast(weight.device.type, enabled=False):
            rows = weight.float().flatten(1)
            if self.training:
                self._iterate(rows.detach())
            # Clones: the buffers change again before the gradient of this call is taken.
            u, v = self.u.clone(), self.v.clone()
            return weight / torch.dot(u, rows @ v)


def spectral_norm(layer: nn.Conv2d) -> nn.Conv2d:
    """``layer`` with its weight spectrally normalized."""
    parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight))
    return layer
