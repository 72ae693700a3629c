"""Convolutions whose kernels a style vector scales (StyleGAN2).

Karras et al. 2020, Analyzing and Improving the Image Quality of StyleGAN (arXiv 1912.04958). Scaling the kernel a
picture is written as scaling its input and output, which is the same sum and lets all pictures of a batch share one
convolution.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_core.networks.layers.blur_pool import doubled
from stylegan_core.networks.resnet import Padding

_GAIN = math.sqrt(2.0)


class ModulatedConv2d(nn.Module):
    """A convolution with a scale per input channel and picture, and its output brought back to unit variance.

    Args:
        in_channels: of the features.
        out_channels: of the result.
        style_width: of the style vector.
        kernel_px: side of the kernel, odd.
        demodulate: divides each output channel by the norm of its scaled kernel; not for the last layer, whose
            amplitude is the picture's.
        padding: at the borders.
        shift: the style also adds a bias to each output channel, as in conditional instance normalization.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        style_width: int,
        kernel_px: int = 3,
        *,
        demodulate: bool = True,
        padding: Padding = "zeros",
        shift: bool = False,
    ) -> None:
        super().__init__()
        self.demodulate = demodulate
        self.padding = padding
        self.weight = nn.Parameter(
            torch.randn(out_channels, in_channels, kernel_px, kernel_px) / math.sqrt(in_channels * kernel_px**2)
        )
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.scales = nn.Linear(style_width, in_channels)
        nn.init.normal_(self.scales.weight, std=1 / math.sqrt(style_width))
        nn.init.ones_(self.scales.bias)
        self.shifts = nn.Linear(style_width, out_channels, bias=False) if shift else None
        if self.shifts is not None:
            nn.init.zeros_(self.shifts.weight)

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """Features under a style.

        Args:
            features: (N, C, H, W).
            style: (N, D).
        Returns:
            (N, K, H, W).
        """
        weight = self.weight  # once: it may be computed from what is stored
        with torch.autocast(features.device.type, enabled=False):  # norms in fp32
            scales = self.scales(style.float())  # (N, C)
            if self.demodulate:
                power = weight.float().square().sum(dim=(2, 3))  # (K, C)
                norms = torch.rsqrt(scales.square() @ power.t() + 1e-8)  # (N, K)
            shifts = self.shifts(style.float()) if self.shifts is not None else None  # (N, K)
        scaled, margin = features * scales.to(features.dtype)[:, :, None, None], weight.shape[-1] // 2
        result: Tensor
        if self.padding == "zeros":
            result = F.conv2d(scaled, weight, padding=margin)
        else:
            result = F.conv2d(F.pad(scaled, (margin,) * 4, mode=self.padding), weight)
        if self.demodulate:
            result = result * norms.to(result.dtype)[:, :, None, None]
        bias = self.bias if shifts is None else self.bias + shifts
        return result + bias.to(result.dtype)[..., None, None]


class ModulatedBlock(nn.Module):
    """Two modulated convolutions and a skip, at the size of the input or at twice of it.

    Args:
        in_channels: of the features.
        out_channels: of the result.
        style_width: of the style vector.
        enlarge: doubles the size between the two convolutions.
        grain: adds noise after the first, scaled by a learned weight for each channel, 0 at the start.
        padding: at the borders.
        shift: see ``ModulatedConv2d``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        style_width: int,
        *,
        enlarge: bool = False,
        grain: bool = False,
        padding: Padding = "zeros",
        shift: bool = False,
    ) -> None:
        super().__init__()
        self.enlarge = enlarge
        self.first = ModulatedConv2d(in_channels, out_channels, style_width, padding=padding, shift=shift)
        self.second = ModulatedConv2d(out_channels, out_channels, style_width, padding=padding, shift=shift)
        self.grain_strengths = nn.Parameter(torch.zeros(out_channels)) if grain else None
        self.skip = nn.Conv2d(in_channels, out_channels, 1, bias=False) if in_channels != out_channels else None
        if self.skip is not None:
            nn.init.kaiming_normal_(self.skip.weight, nonlinearity="linear")

    def forward(self, features: Tensor, style: Tensor, grain: Tensor | None = None) -> Tensor:
        """(N, C, H, W) under (N, D) to (N, K, H, W), or to (N, K, 2 H, 2 W); the grain is (1, 1, H, W)."""
        straight = features if self.skip is None else self.skip(features)
        hidden = self.first(features, style)
        if self.grain_strengths is not None and grain is not None:
            hidden = hidden + (self.grain_strengths[:, None, None] * grain).to(hidden.dtype)
        hidden = _GAIN * F.leaky_relu(hidden, 0.2)
        if self.enlarge:  # the smaller side is where convolutions are cheap
            straight, hidden = (doubled(each, anti_aliased=True) for each in (straight, hidden))
        hidden = _GAIN * F.leaky_relu(self.second(hidden, style), 0.2)
        return (straight + hidden) / _GAIN
