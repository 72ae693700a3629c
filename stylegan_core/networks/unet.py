"""U-Net generator (Isola et al. 2017, Image-to-Image Translation with Conditional Adversarial Networks).

arXiv 1611.07004; the shape is that of Ronneberger et al. 2015 (arXiv 1505.04597). Unlike the paper: doubling and a
convolution instead of transposed convolutions, which leave a checkerboard, and a last layer at full size whose input
includes the content, so that edges need not pass through half the size.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_core.networks.layers.blur_pool import BlurPool, doubled
from stylegan_core.networks.resnet import Norm, Output, Padding, apply_in_fp32, convolution, norm_layer

_LEAK = 0.2
_WIDEST = 8
_DROPPED_LEVELS = 3


class UnetGenerator(nn.Module):
    """Picture to picture, (N, 3, H, W) in [-1, 1] to (N, 3, H, W), any size.

    Args:
        channels: of the first layer; they double with every halving, up to eight times.
        levels: halvings; a picture of ``2**levels`` px becomes one pixel in the middle.
        norm: "none" keeps tiles exact; at batch size 1 the paper's "batch" is "instance".
        padding: of convolutions.
        output: "residual" adds an unbounded change to the content; "tanh" outputs the picture itself.
        dropout: share of features that are left out in the three innermost decoder layers while it trains. The paper
            leaves them out in use too, as its only noise; here a picture has one translation.
        output_gain: scale of the last layer at the start.
        anti_aliased: halves by a 3 px convolution and a low-pass after its activation, and doubles bilinearly, so that
            a shift of the input shifts the result; else by the paper's 4 px convolution of stride 2.
    Raises:
        ValueError: ``levels`` is less than 1.
    """

    def __init__(
        self,
        channels: int = 64,
        levels: int = 8,
        *,
        norm: Norm = "instance",
        padding: Padding = "reflect",
        output: Output = "tanh",
        dropout: float = 0.0,
        output_gain: float = 0.1,
        anti_aliased: bool = True,
    ) -> None:
        super().__init__()
        if levels < 1:
            raise ValueError(f"a U-Net needs one level or more: got {levels}")
        self.multiple_px = 2**levels
        """Tiles must start at multiples of this; sizes that are none are padded inside."""
        self._output = output
        self._anti_aliased = anti_aliased
        widths = [channels * min(2**level, _WIDEST) for level in range(levels)]
        self.stage_channels = (3, *widths)
        """Channels of what ``encode`` returns."""

        def halving(in_channels: int, out_channels: int, normed: bool) -> nn.Sequential:
            kernel_px, stride = (3, 1) if anti_aliased else (4, 2)
            conv = convolution(in_channels, out_channels, kernel_px, padding, stride=stride)
            ending = [BlurPool(out_channels)] if anti_aliased else []
            normalized = norm_layer(norm if normed else "none", out_channels)
            return nn.Sequential(conv, normalized, nn.LeakyReLU(_LEAK), *ending)

        def layer(in_channels: int, out_channels: int, dropped: bool) -> nn.Sequential:
            conv = convolution(in_channels, out_channels, 3, padding)
            ending = [nn.Dropout(dropout)] if dropped and dropout > 0 else []
            return nn.Sequential(conv, norm_layer(norm, out_channels), nn.LeakyReLU(_LEAK), *ending)

        self.stem = halving(3, widths[0], normed=False)
        # A norm layer would bring a single pixel in the middle to zero.
        self.down = nn.ModuleList(
            halving(a, b, normed=level < levels - 1) for level, (a, b) in enumerate(itertools.pairwise(widths), start=1)
        )
        # Each but the first sees what came up and the encoder's features of the same size: twice the width.
        self.up = nn.ModuleList(
            layer(
                widths[level] * (1 if level == levels - 1 else 2),
                widths[level - 1],
                dropped=levels - 1 - level < _DROPPED_LEVELS,
            )
            for level in reversed(range(1, levels))
        )
        last = max(channels // 2, 4)
        self.last = layer(widths[0] * (1 if levels == 1 else 2) + 3, last, dropped=False)
        self.to_rgb = convolution(last, 3, 3, padding)
        with torch.no_grad():
            self.to_rgb.weight.mul_(output_gain)

    def encode(self, content: Tensor) -> list[Tensor]:
        """Features of the input and of every halving, in order.

        Args:
            content: (N, 3, H, W) in [-1, 1], H and W multiples of ``multiple_px``.
        """
        features = [content]
        for stage in (self.stem, *self.down):
            features.append(stage(features[-1]))
        return features

    def forward(self, content: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] to fp32 (N, 3, H, W); "residual" may overshoot [-1, 1]."""
        height, width = content.shape[-2:]
        pad_bottom, pad_right = -height % self.multiple_px, -width % self.multiple_px
        padded = content.contiguous(memory_format=torch.channels_last)
        # Unconditional, even by 0 px: the exported graph has no branches and accepts any size.
        padded = F.pad(padded, (0, pad_right, 0, pad_bottom), mode="replicate")
        *skips, hidden = self.encode(padded)
        for stage in self.up:
            hidden = stage(doubled(hidden, anti_aliased=self._anti_aliased))
            hidden = torch.cat([hidden, skips.pop()], dim=1)  # (N, 2 * width of the level, ...)
        hidden = doubled(hidden, anti_aliased=self._anti_aliased)
        hidden = self.last(torch.cat([hidden, skips.pop()], dim=1))  # (N, channels / 2, H, W)
        change = apply_in_fp32(self.to_rgb, hidden)[..., :height, :width]
        return torch.tanh(change) if self._output == "tanh" else content.float() + change
