"""Patch discriminator (Isola et al. 2017, Image-to-Image Translation with Conditional Adversarial Networks).

arXiv 1611.07004.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from stylegan_core.networks.spectral import spectral_norm
from stylegan_core.networks.synchronized import BatchNorm

DiscriminatorNorm = Literal["none", "instance", "batch", "spectral"]


class PatchDiscriminator(nn.Module):
    """Patch discriminator: scores overlapping windows of a picture, (N, C, H, W) to unbounded logits (N, 1, h, w).

    Args:
        in_channels: 3 for a picture; 6 for content and style, one after the other (conditional).
        channels: of the first layer; they double a layer, up to eight times.
        layers: strided layers; the window is 16, 34, 70 px for 1, 2, 3.
        norm: "spectral" bounds every layer's gain; "instance" and "batch" are the papers' choices.
        dropout: share of features left out in training, after every layer but the first.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: int = 32,
        layers: int = 2,
        norm: DiscriminatorNorm = "spectral",
        *,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()

        def conv(a: int, b: int, stride: int) -> nn.Conv2d:
            layer = nn.Conv2d(a, b, 4, stride=stride, padding=1)
            nn.init.kaiming_normal_(layer.weight, a=0.2)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            return spectral_norm(layer) if norm == "spectral" else layer

        widths = [min(channels * 2**i, channels * 8) for i in range(layers + 1)]
        modules: list[nn.Module] = [conv(in_channels, widths[0], 2), nn.LeakyReLU(0.2)]
        for i in range(1, layers + 1):
            modules.append(conv(widths[i - 1], widths[i], 2 if i < layers else 1))
            if norm == "instance":
                modules.append(nn.InstanceNorm2d(widths[i]))
            elif norm == "batch":
                modules.append(BatchNorm(widths[i]))
            modules.append(nn.LeakyReLU(0.2))
            if dropout > 0:
                modules.append(nn.Dropout2d(dropout))
        modules.append(conv(widths[-1], 1, 1))
        self.body = nn.Sequential(*modules)
        self.hidden_layers, self.hidden_channels = len(widths), widths[-1]

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits (N, 1, h, w), positive for real."""
        return self.features(pictures)[-1]

    def features(self, pictures: Tensor) -> list[Tensor]:
        """What every layer gives after its activation, the logits last."""
        hidden = pictures.contiguous(memory_format=torch.channels_last)
        found = []
        for module in self.body:
            hidden = module(hidden)
            if isinstance(module, nn.LeakyReLU):
                found.append(hidden)
        return [*found, hidden]
