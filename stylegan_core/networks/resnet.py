"""Residual generator (Johnson et al. 2016, Perceptual Losses for Real-Time Style Transfer, arXiv 1603.08155).

The shape of Texler et al. 2020 (arXiv 2004.14489): encoder, residual blocks, decoder with skip connections. Without
norm layers an output pixel depends on a window of the input alone, so tiles and whole frames agree exactly.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_core.networks.guide import GUIDED_CHANNELS, PICTURE_CHANNELS, GuideGate, with_guide
from stylegan_core.networks.layers.blur_pool import BlurPool, doubled
from stylegan_core.networks.layers.fourier_features import FourierFeatures
from stylegan_core.networks.layers.mixing import NeighbourhoodMixing
from stylegan_core.networks.synchronized import BatchNorm

Norm = Literal["none", "instance", "batch"]
Padding = Literal["reflect", "replicate", "zeros"]
Output = Literal["residual", "tanh"]

_LEAK = 0.2


def activation(norm: Norm) -> nn.Module:
    """The activation for a normalization."""
    # With norm layers half of every channel stays active under ReLU; without them a leak is needed.
    return nn.LeakyReLU(_LEAK) if norm == "none" else nn.ReLU()


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    """Brings (N, C, H, W) to zero mean and unit variance, each picture or the batch as one; or does nothing."""
    if norm == "batch":
        return BatchNorm(channels)
    return nn.InstanceNorm2d(channels) if norm == "instance" else nn.Identity()


class Convolution(nn.Conv2d):
    """A convolution whose padding keeps the precision of autocast, which on a CPU would pad in fp32 and cast twice."""

    def _conv_forward(self, hidden: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        kind = hidden.device.type
        if self.padding_mode == "zeros" or not torch.is_autocast_enabled(kind):
            return super()._conv_forward(hidden, weight, bias)  # type: ignore[no-any-return]
        with torch.autocast(kind, enabled=False):
            cast = hidden.to(torch.get_autocast_dtype(kind))
            padded = F.pad(cast, self._reversed_padding_repeated_twice, mode=self.padding_mode)
        return F.conv2d(padded, weight, bias, self.stride, 0, self.dilation, self.groups)


def convolution(in_channels: int, out_channels: int, kernel_px: int, padding: Padding, *, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size, or divides it by ``stride``, and the variance of what a leaky ReLU gives.

    Args:
        in_channels: of its input.
        out_channels: of its output.
        kernel_px: odd, or 4 with stride 2.
        padding: beyond the border.
        stride: of the convolution.
    """
    margin_px = (kernel_px - 1) // 2
    conv = Convolution(in_channels, out_channels, kernel_px, stride=stride, padding=margin_px, padding_mode=padding)
    nn.init.kaiming_normal_(conv.weight, a=_LEAK)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def apply_in_fp32(layer: nn.Module, hidden: Tensor) -> Tensor:
    """``layer(hidden)`` in fp32, under autocast too: bf16 would leave 768 of a 10-bit picture's 1,024 codes.

    In training it may compute in autocast's precision, three times as fast: losses do not see single codes.
    """
    kind = hidden.device.type
    if torch.is_autocast_enabled(kind) and not layer.training:  # only there: exporters cannot trace the context
        with torch.autocast(kind, enabled=False):
            return layer(hidden.float())  # type: ignore[no-any-return]
    return layer(hidden).float()  # type: ignore[no-any-return]


def _stage(
    in_channels: int,
    out_channels: int,
    kernel_px: int,
    stride: int = 1,
    *,
    norm: Norm,
    padding: Padding,
    anti_aliased: bool,
) -> nn.Sequential:
    """A convolution with its norm layer and activation, and a low-pass in place of a stride if it is anti-aliased."""
    conv = convolution(in_channels, out_channels, kernel_px, padding, stride=1 if anti_aliased else stride)
    halving = [BlurPool(out_channels)] if anti_aliased and stride == 2 else []
    return nn.Sequential(conv, norm_layer(norm, out_channels), activation(norm), *halving)


class ResidualBlock(nn.Module):
    """Two 3 px convolutions added to their input, (N, C, H, W) to (N, C, H, W)."""

    def __init__(self, channels: int, norm: Norm, padding: Padding, gain: float, dropout: float = 0.0) -> None:
        super().__init__()
        second = convolution(channels, channels, 3, padding)
        if norm == "none":  # a norm layer would cancel the gain
            with torch.no_grad():
                second.weight.mul_(gain)
        self.body = nn.Sequential(
            convolution(channels, channels, 3, padding),
            norm_layer(norm, channels),
            # One module for both, so that a model trained without dropout can be trained further with it.
            nn.Sequential(activation(norm), nn.Dropout(dropout)) if dropout > 0 else activation(norm),
            second,
            norm_layer(norm, channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, C, H, W) of the same shape."""
        return features + self.body(features)  # type: ignore[no-any-return]


class ResnetGenerator(nn.Module):
    """Picture to picture, (N, 3, H, W) in [-1, 1] to (N, 3, H, W), any size.

    Args:
        channels: of the first layer; they double with every downsampling.
        blocks: residual blocks at the lowest resolution.
        downsamplings: halvings between the first layer and the blocks.
        norm: "none" keeps tiles exact; "instance" is the papers' for unpaired work; "batch" needs large batches.
        padding: of convolutions.
        output: "residual" adds an unbounded change to the content; "tanh" outputs the picture itself.
        skips: adds encoder features to the decoder's.
        unshuffle: 2 runs the whole network at half resolution, four pixels a position (a quarter of the work).
        stem_px: side of the first kernel, odd.
        last_px: side of the last kernel, odd.
        mixing_taps: neighbours a side that a pixel's colour is mixed from before a residual change is added; 0 is none.
        mixing_step_px: distance between those neighbours.
        tail: one more 3 px layer before the last, which mixes the skip connection's features with the decoder's.
        dropout: share of features that are left out inside the residual blocks while it trains.
        residual_gain: scale of what a residual block adds at the start (norm "none" only).
        output_gain: scale of the last layer at the start.
        in_channels: 3, or 7 for a picture with its guide (``networks.guide``), to whose base the change is added.
        anti_aliased: halves through a low-pass after the activation and doubles bilinearly, so that a shift of the
            input shifts the result; with ``unshuffle`` too the first and the last layer are at full resolution then,
            for as many multiplications.
        fourier_features: waves of the smoothed colours that the first layer sees beside the picture; 0 is none.
    """

    def __init__(  # noqa: PLR0913  # all by keyword
        self,
        channels: int = 16,
        blocks: int = 3,
        *,
        downsamplings: int = 2,
        norm: Norm = "none",
        padding: Padding = "reflect",
        output: Output = "residual",
        skips: bool = True,
        unshuffle: int = 1,
        stem_px: int = 7,
        last_px: int = 7,
        tail: bool = False,
        mixing_taps: int = 0,
        mixing_step_px: int = 2,
        dropout: float = 0.0,
        residual_gain: float = 0.1,
        output_gain: float = 0.1,
        in_channels: int = PICTURE_CHANNELS,
        anti_aliased: bool = True,
        fourier_features: int = 0,
    ) -> None:
        super().__init__()
        if stem_px % 2 == 0 or last_px % 2 == 0:
            raise ValueError(f"stem_px and last_px must be odd, to be centred: got {stem_px} and {last_px}")
        if mixing_taps and unshuffle > 1:
            raise ValueError(
                "mixing needs features at full resolution: set half_resolution to false, or mixing_taps to 0"
            )
        if fourier_features and unshuffle > 1 and not anti_aliased:
            raise ValueError("fourier_features needs pixels, not groups of them: set anti_aliased to true, or it to 0")
        self.multiple_px = unshuffle * 2**downsamplings
        """Tiles must start at multiples of this; sizes that are none are padded inside."""
        self._anti_aliased = anti_aliased
        self._unshuffle = unshuffle
        self._output = output
        self._guided = in_channels == GUIDED_CHANNELS
        widths = [channels * 2**level for level in range(downsamplings + 1)]
        cell = 1 if anti_aliased else unshuffle**2  # pixels that enter and leave the network as one
        self.stage_channels = (in_channels * cell, *widths, *[widths[-1]] * blocks)
        """Channels of what ``encode`` returns."""

        layer = partial(_stage, norm=norm, padding=padding, anti_aliased=anti_aliased)
        seen = in_channels * cell + 2 * fourier_features
        self.stem = layer(seen, channels, stem_px, stride=unshuffle if anti_aliased else 1)
        if fourier_features:
            self.stem.insert(0, FourierFeatures(fourier_features))
        self.down = nn.ModuleList(layer(a, b, 3, stride=2) for a, b in itertools.pairwise(widths))
        self.blocks = nn.ModuleList(
            ResidualBlock(widths[-1], norm, padding, residual_gain, dropout) for _ in range(blocks)
        )
        # Doubled, then a convolution: transposed convolutions leave a checkerboard.
        self.up = nn.ModuleList(layer(b, a, 3) for a, b in reversed(list(itertools.pairwise(widths))))
        self.skips = skips
        self.tail = layer(channels, channels, 3) if tail else nn.Identity()
        self.to_rgb = convolution(channels, 3 * cell, last_px, padding)
        self.mixing = (
            NeighbourhoodMixing(channels, mixing_taps, mixing_step_px) if mixing_taps and output == "residual" else None
        )
        self.gate = GuideGate(channels) if self._guided and output == "residual" else None
        with torch.no_grad():
            self.to_rgb.weight.mul_(output_gain)
            # All pixels of a shuffled group start with equal weights, or the group's grid shows in the picture.
            self.to_rgb.weight.copy_(self.to_rgb.weight[::cell].repeat_interleave(cell, dim=0))

    def encode(self, content: Tensor, last: int | None = None) -> list[Tensor]:
        """Features of the input, the first layer, every downsampling and every block, in order.

        Args:
            content: (N, in_channels, H, W) in [-1, 1], H and W multiples of ``multiple_px``.
            last: index of the last features to compute; None: all.
        """
        in_cells = self._unshuffle > 1 and not self._anti_aliased
        features = [F.pixel_unshuffle(content, self._unshuffle) if in_cells else content]
        for stage in (self.stem, *self.down, *self.blocks)[:last]:
            features.append(stage(features[-1]))
        return features

    def forward(self, content: Tensor, encoded: list[Tensor] | None = None) -> Tensor:
        """(N, in_channels, H, W) in [-1, 1] to fp32 (N, 3, H, W); "residual" may overshoot [-1, 1].

        A guided network takes a picture alone, (N, 3, H, W), as one without a guide.

        Args:
            content: the input.
            encoded: what ``encode`` returned for it, if that is known already.
        """
        content = with_guide(content) if self._guided else content
        height, width = content.shape[-2:]
        pad_bottom, pad_right = -height % self.multiple_px, -width % self.multiple_px
        # A quarter faster on a CPU at few channels, and the layout of tensor cores.
        padded = content.contiguous(memory_format=torch.channels_last)
        if pad_bottom or pad_right:
            padded = F.pad(padded, (0, pad_right, 0, pad_bottom), mode="replicate")
        encoded = self.encode(padded) if encoded is None else encoded
        hidden = encoded[-1]
        levels = len(self.down)
        for level, stage in zip(reversed(range(levels)), self.up, strict=True):
            hidden = stage(doubled(hidden, anti_aliased=self._anti_aliased))  # (N, channels * 2**level, ...)
            if self.skips:
                hidden = hidden + encoded[1 + level]
        hidden = self.tail(hidden)
        change = self._to_picture(hidden)[..., :height, :width]
        if self._output == "tanh":
            return torch.tanh(change)
        return self._base(padded, hidden)[..., :height, :width] + change

    def _base(self, padded: Tensor, hidden: Tensor) -> Tensor:
        """(N, 3, H, W) fp32 what the change is added to: the picture with mixed colours, or the guide."""
        base = padded[:, :PICTURE_CHANNELS].float()
        if self.mixing is not None:
            base = self.mixing(base, hidden)
        if self.gate is None:
            return base
        if self._unshuffle > 1:
            hidden = doubled(hidden, anti_aliased=self._anti_aliased)
        return self.gate(base, padded, hidden)  # type: ignore[no-any-return]

    def _to_picture(self, hidden: Tensor) -> Tensor:
        """fp32 (N, 3, H, W) of the decoder's last features."""
        if self._unshuffle == 1:
            return apply_in_fp32(self.to_rgb, hidden)
        if self._anti_aliased:
            return apply_in_fp32(self.to_rgb, doubled(hidden, anti_aliased=True))
        return F.pixel_shuffle(apply_in_fp32(self.to_rgb, hidden), self._unshuffle)
