"""Neighbourhood mixing: every pixel becomes a weighted mean of content pixels around it.

Kernel prediction after Bako et al. 2017 (Kernel-Predicting Convolutional Networks for Denoising Monte Carlo
Renderings) and Mildenhall et al. 2018 (Burst Denoising with Kernel Prediction Networks, arXiv 1712.02327). A brush
picks up colours that are there: a flat stroke with a hard edge, which convolutions must build from scratch, is here
one choice of weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class NeighbourhoodMixing(nn.Module):
    """Predicts the weights of a grid of neighbours and mixes the content by them.

    Args:
        channels: of the features that the weights are predicted from.
        taps: neighbours a side, odd; there are ``taps**2`` weights a pixel.
        step_px: distance between neighbours.
    """

    def __init__(self, channels: int, taps: int = 7, step_px: int = 2) -> None:
        super().__init__()
        if taps % 2 == 0 or taps < 3:
            raise ValueError(f"taps must be odd and at least 3, to have a centre and neighbours: got {taps}")
        self.taps, self.step_px = taps, step_px
        self.predict = nn.Conv2d(channels, taps**2, 3, padding=1, padding_mode="replicate")
        with torch.no_grad():
            self.predict.weight.mul_(0.1)
            self.predict.bias.zero_()  # type: ignore[union-attr]
            self.predict.bias[taps**2 // 2] = 3.0  # type: ignore[index]  # at the start mostly the pixel itself

    def forward(self, content: Tensor, features: Tensor) -> Tensor:
        """Mixed content.

        Args:
            content: (N, 3, H, W), any range.
            features: (N, C, H, W).
        Returns:
            fp32 (N, 3, H, W), within the range of the content.
        """
        weights = self.predict(features).float().softmax(dim=1)  # (N, taps**2, H, W)
        if torch.is_grad_enabled() and weights.requires_grad and not content.requires_grad:
            return _Mix.apply(content.float(), weights, self.taps, self.step_px)  # type: ignore[no-any-return]
        return _mixed(content.float(), weights, self.taps, self.step_px)


def _neighbours(content: Tensor, taps: int, step_px: int) -> Iterator[Tensor]:
    """The content seen from each neighbour, (N, 3, H, W) each, rows first; the edge is replicated beyond the border."""
    height, width = content.shape[-2:]
    radius = taps // 2 * step_px
    padded = F.pad(content, (radius, radius, radius, radius), mode="replicate")
    for row in range(taps):
        for column in range(taps):
            top, left = row * step_px, column * step_px
            yield padded[..., top : top + height, left : left + width]


def _mixed(content: Tensor, weights: Tensor, taps: int, step_px: int) -> Tensor:
    result = torch.zeros_like(content)
    for index, neighbour in enumerate(_neighbours(content, taps, step_px)):
        result = result + weights[:, index : index + 1] * neighbour
    return result


class _Mix(torch.autograd.Function):
    """``_mixed`` with a gradient for the weights alone, which keeps no picture for each neighbour."""

    @staticmethod
    def forward(ctx: Any, content: Tensor, weights: Tensor, taps: int, step_px: int) -> Tensor:
        ctx.save_for_backward(content)
        ctx.shape = (taps, step_px)
        return _mixed(content, weights, taps, step_px)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[None, Tensor, None, None]:
        (content,) = ctx.saved_tensors
        (gradient,) = gradients
        sums = [(gradient * neighbour).sum(dim=1) for neighbour in _neighbours(content, *ctx.shape)]
        return None, torch.stack(sums, dim=1), None, None
