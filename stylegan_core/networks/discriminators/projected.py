"""Projected discriminator: small heads on frozen, randomly mixed features of a trained network, at several scales.

Sauer et al. 2021, Projected GANs Converge Faster (arXiv 2111.01007), on EfficientNet-Lite0. Features are mixed by fixed
random convolutions, across channels and from coarse scales to fine ones, so that no head can rely on few of them.
Unlike the paper, heads do not reduce their input, and mixing across scales is a choice: a translation should take the
texture of the style, and coarse features tell photographs from paintings by what they show.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_core.features.efficientnet_lite0 import CHANNELS
from stylegan_core.features.extractors import load_extractor
from stylegan_core.networks.discriminators.layouts import DiscriminatorOutput
from stylegan_core.networks.patch_discriminator import PatchDiscriminator
from stylegan_core.networks.spectral import spectral_norm

SCALES_PX = (4, 8, 16, 32)
"""Strides of the feature maps that have a head."""

_LEAST_MAP_PX = 4
_SEED = 2111
_LEAK = 0.2


class ProjectedDiscriminator(nn.Module):
    """(N, C, H, W) in [-1, 1] to a ``DiscriminatorOutput``; the frozen network is not part of it.

    Its parts are the discriminator of the pixels, if there is one, and a head for each scale, fine to coarse.

    Args:
        crop_px: side of the training crops; scales whose map would have fewer than 4 px a side are left out.
        channels: of the mixed features and of the heads.
        in_channels: 3 for a picture; more for a picture after what it was made from (conditional): the last three
            channels are the picture, the first three what it was made from, and others are for ``pixels`` alone.
        pixels: a discriminator of the same input, judged beside the features.
        dropout: share of the features of each head that are dropped in training.
        mixes_scales: whether coarse features are mixed into finer ones, too; else each head sees its own scale alone.
    """

    def __init__(
        self,
        crop_px: int,
        channels: int = 64,
        in_channels: int = 3,
        *,
        pixels: PatchDiscriminator | None = None,
        dropout: float = 0.0,
        mixes_scales: bool = True,
    ) -> None:
        super().__init__()
        self.mixes_scales = mixes_scales
        self.pictures = 1 if in_channels == 3 else 2
        self.pixels = pixels
        # The finest scale is always there: a crop of 16 px is the least that is allowed.
        self.scales_px = tuple(s for s in SCALES_PX if s == SCALES_PX[0] or crop_px // s >= _LEAST_MAP_PX)
        rng = np.random.Generator(np.random.Philox(key=[_SEED, channels]))
        for scale in self.scales_px:
            across = rng.standard_normal((channels, self.pictures * CHANNELS[f"stride{scale}"], 1, 1))
            down = rng.standard_normal((channels, channels, 3, 3))
            constants = {f"across_{scale}": across} | ({f"down_{scale}": down} if mixes_scales else {})
            for name, weight in constants.items():
                # Kaiming's deviation; the same on every machine, hence not part of the state.
                scaled = torch.from_numpy(weight * np.sqrt(2.0 / weight[0].size)).float()
                self.register_buffer(name, scaled, persistent=False)
        self.heads = nn.ModuleList(_Head(channels, dropout) for _ in self.scales_px)

    @property
    def first_part(self) -> tuple[int, int]:
        """Number of features of the first part in the output, and channels of the last of them."""
        if self.pixels is not None:
            return self.pixels.hidden_layers, self.pixels.hidden_channels
        head: _Head = self.heads[0]  # type: ignore[assignment]
        return len(head.convolutions), head.to_logits.in_channels

    def forward(self, pictures: Tensor) -> DiscriminatorOutput:
        """The logits and features of every part."""
        logits, features = [], []
        if self.pixels is not None:
            *features, last = self.pixels.features(pictures)
            logits.append(last)
        for head, mixed in zip(self.heads, self._mixed(pictures), strict=True):
            *hidden, last = head(mixed)
            logits.append(last)
            features += hidden
        return DiscriminatorOutput(logits, features)

    def _mixed(self, pictures: Tensor) -> list[Tensor]:
        """(N, channels, h, w) mixed features of each scale, fine to coarse."""
        found = self._features(pictures)
        mixed: list[Tensor] = []
        for scale in reversed(self.scales_px):
            here = F.conv2d(found[f"stride{scale}"], self.get_buffer(f"across_{scale}"))
            if mixed and self.mixes_scales:
                coarse = F.conv2d(mixed[0], self.get_buffer(f"down_{scale}"), padding=1)
                resized = F.interpolate(coarse, size=here.shape[-2:], mode="bilinear", align_corners=False)
                here = (here + resized) * 0.5**0.5
            mixed.insert(0, here)
        return mixed

    def _features(self, pictures: Tensor) -> dict[str, Tensor]:
        """Frozen features of each picture, one after the other in the channels."""
        extractor = load_extractor("efficientnet_lite0", None, pictures.device)
        parts = [pictures[:, -3:]] if self.pictures == 1 else [pictures[:, :3], pictures[:, -3:]]
        found = extractor(torch.cat(parts), [f"stride{scale}" for scale in self.scales_px])
        return {name: torch.cat(layer.chunk(len(parts)), dim=1) for name, layer in found.items()}


class _Head(nn.Module):
    """Logits of one scale's features, and the hidden features before them."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(_convolution(channels, channels, 3) for _ in range(2))
        self.to_logits = _convolution(channels, 1, 1)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, features: Tensor) -> list[Tensor]:
        found = []
        for convolution in self.convolutions:
            features = self.dropout(F.leaky_relu(convolution(features), _LEAK))
            found.append(features)
        return [*found, self.to_logits(features)]


def _convolution(in_channels: int, out_channels: int, size_px: int) -> nn.Conv2d:
    layer = nn.Conv2d(in_channels, out_channels, size_px, padding=size_px // 2)
    nn.init.kaiming_normal_(layer.weight, a=_LEAK)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return spectral_norm(layer)
