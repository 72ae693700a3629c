"""Edits a picture by attribute changes: warps it and adds colours (He et al. 2019, AttGAN, arXiv 1711.10678).

The attributes are given as changes, not as a full description: Liu et al. 2019, STGAN (arXiv 1904.09709). Warping
the source before colours are added: Zhou et al. 2016, View Synthesis by Appearance Flow (arXiv 1605.03557). A warped
mouth keeps its own texture; a generated one needs far more faces to learn from.
"""

from __future__ import annotations

import itertools
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_core.networks.layers.blur_pool import BlurPool, doubled
from stylegan_core.networks.resnet import ResidualBlock

Norm = Literal["none", "instance"]

_LEAK = 0.2
_OUTPUT_GAIN = 0.1
_CLEAR_COLOUR = 10.0


class AttributeGenerator(nn.Module):
    """(N, 3, H, W) and (N, L) wanted changes to (N, 3, H, W), any size; no change gives the picture back exactly.

    The largest change of a picture, its strength, scales the displacement and the added colours; the network itself
    sees the direction alone. Strengths between 0 and 1 and beyond are therefore defined however it was trained.

    Args:
        attributes: L, at least 1.
        channels: of the first layer; they double with every downsampling.
        blocks: residual blocks at the lowest resolution.
        downsamplings: halvings before the blocks.
        norm: "instance" is the papers'; "none" keeps brightness and contrast as features.
        flow_px: largest displacement at strength 1; 0 adds colours alone.
        anti_aliased: halves through a low-pass after the activation and doubles bilinearly, so that a shift of the
            input shifts the result.
    """

    def __init__(
        self,
        attributes: int,
        channels: int = 16,
        blocks: int = 2,
        *,
        downsamplings: int = 2,
        norm: Norm = "none",
        flow_px: float = 8.0,
        anti_aliased: bool = True,
    ) -> None:
        super().__init__()
        self.multiple_px = 2**downsamplings
        self.flow_px = flow_px
        self._anti_aliased = anti_aliased
        widths = [channels * 2**level for level in range(downsamplings + 1)]

        def layer(in_channels: int, out_channels: int, kernel_px: int, stride: int = 1) -> nn.Sequential:
            conv = _conv(in_channels, out_channels, kernel_px, 1 if anti_aliased else stride)
            halving = [BlurPool(out_channels)] if anti_aliased and stride == 2 else []
            normed = nn.InstanceNorm2d(out_channels, affine=True) if norm == "instance" else nn.Identity()
            return nn.Sequential(conv, normed, nn.LeakyReLU(_LEAK), *halving)

        self.stem = layer(3, channels, 5)
        self.down = nn.ModuleList(layer(a, b, 3, 2) for a, b in itertools.pairwise(widths))
        self.enter = layer(widths[-1] + attributes, widths[-1], 3)
        self.blocks = nn.Sequential(*(ResidualBlock(widths[-1], norm, "zeros", 0.1) for _ in range(blocks)))
        levels = list(reversed(list(itertools.pairwise(widths))))
        self.up = nn.ModuleList(layer(b + a + attributes, a, 3) for a, b in levels)
        self.to_flow = _conv(widths[-1], 2, 3, gain=_OUTPUT_GAIN) if flow_px > 0 else None
        self.to_rgb = _conv(channels, 3, 5, gain=_OUTPUT_GAIN)

    def forward(self, content: Tensor, change: Tensor) -> Tensor:
        """The edited pictures, fp32; they may overshoot [-1, 1].

        Args:
            content: (N, 3, H, W) in [-1, 1].
            change: (N, L), each attribute's wanted change: 1 adds it, -1 removes it, 0 keeps it; beyond exaggerates.
        """
        height, width = content.shape[-2:]
        padded = F.pad(content, (0, -width % self.multiple_px, 0, -height % self.multiple_px), mode="replicate")
        strength = change.float().abs().amax(dim=1).view(-1, 1, 1, 1)
        direction = (change / strength.view(-1, 1).clamp(min=1e-6))[:, :, None, None]  # (N, L, 1, 1)

        encoded = [self.stem(padded.contiguous(memory_format=torch.channels_last))]
        for stage in self.down:
            encoded.append(stage(encoded[-1]))
        deep = self.blocks(self.enter(_with(encoded.pop(), direction)))
        hidden = deep
        for stage in self.up:
            larger = doubled(hidden, anti_aliased=self._anti_aliased)
            hidden = stage(_with(torch.cat([larger, encoded.pop()], dim=1), direction))
        edited = content.float()
        if self.to_flow is not None:
            flow = self.flow_px * torch.tanh(_fp32(self.to_flow, deep))
            flow = F.interpolate(flow, size=padded.shape[-2:], mode="bilinear")[..., :height, :width]
            edited = warp(edited, strength * flow)
        colours = _fp32(self.to_rgb, hidden)[..., :height, :width]
        grey = colours.mean(dim=1, keepdim=True)
        edited = edited + strength * (grey + _colourfulness(content) * (colours - grey))
        return torch.where(strength > 0, edited, content.float())


def warp(pictures: Tensor, flow_px: Tensor) -> Tensor:
    """Warps pictures by a flow with bilinear interpolation; outside, border pixels are repeated.

    Args:
        pictures: (N, C, H, W), fp32.
        flow_px: (N, 2, H, W), to the right and down, fp32.
    """
    height, width = pictures.shape[-2:]
    x = torch.arange(width, device=pictures.device, dtype=torch.float32) + flow_px[:, 0]  # (N, H, W)
    y = torch.arange(height, device=pictures.device, dtype=torch.float32)[:, None] + flow_px[:, 1]
    grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], dim=-1)  # (N, H, W, 2)
    return F.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=True)


def _colourfulness(content: Tensor) -> Tensor:
    """(N, 1, 1, 1) from 0 for a grey picture, which stays grey, to 1 for one with any clear colour in it."""
    chroma = content.float() - content.float().mean(dim=1, keepdim=True)
    return (_CLEAR_COLOUR * chroma.abs().amax(dim=(1, 2, 3), keepdim=True)).clamp(max=1.0)


def _with(features: Tensor, direction: Tensor) -> Tensor:
    spread = direction.to(features.dtype).expand(-1, -1, *features.shape[-2:])
    return torch.cat([features, spread], dim=1)


def _conv(in_channels: int, out_channels: int, kernel_px: int, stride: int = 1, gain: float = 1.0) -> nn.Conv2d:
    # Zero padding gives the layers a cue of position: a mouth is expected at a place.
    conv = nn.Conv2d(in_channels, out_channels, kernel_px, stride=stride, padding=kernel_px // 2)
    nn.init.kaiming_normal_(conv.weight, a=_LEAK)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    with torch.no_grad():
        conv.weight.mul_(gain)
    return conv


def _fp32(layer: nn.Module, hidden: Tensor) -> Tensor:
    # Only where autocast is on, so that exporters, which cannot trace the context, never meet it.
    kind = hidden.device.type
    if torch.is_autocast_enabled(kind):
        with torch.autocast(kind, enabled=False):
            return layer(hidden.float())  # type: ignore[no-any-return]
    return layer(hidden).float()  # type: ignore[no-any-return]
