"""Consistency of a translation under noise, shifts and warps of its input: what keeps film from flickering.

Noise: Rao et al. 2020 train video models with it against flicker; shifts: Zhang 2019, Making Convolutional Networks
Shift-Invariant Again (arXiv 1904.11486), here as a loss; warps: Eilertsen et al. 2019, Single-frame
Regularization for Temporally Stable CNNs (arXiv 1902.10424).

Draws are torch's, on the CPU: equal on every device, and part of a checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_SHIFT_PX = 4
"""Whole pixels; beyond the stride of two halvings a shift meets the same phase of the network again."""
_ROTATION_RAD, _ZOOM, _TRANSLATION_PX = 0.05, 0.05, 3.0
_BEND_PX, _BEND_POINTS = 1.5, 4
_BRIGHTNESS = 0.1
_MARGIN_PX = 3
"""Nearer to the border a result depends more on the padding than on the picture."""


@dataclass(frozen=True)
class Change:
    """A change of pictures, and what it means for their translations.

    Attributes:
        of_input: (N, 3, H, W) in [-1, 1] to the changed pictures.
        of_result: (N, 3, H, W) to what the translation of the changed pictures should be.
        valid_unit: (N, 1, H, W) in {0, 1}, where ``of_result`` is known.
    """

    of_input: Callable[[Tensor], Tensor]
    of_result: Callable[[Tensor], Tensor]
    valid_unit: Tensor


def draw_noise(pictures: Tensor, deviation_unit: float) -> Change:
    """Gaussian noise, of a standard deviation up to ``deviation_unit`` of the unit range, half of it of 2 px grains.

    Args:
        pictures: (N, 3, H, W) in [-1, 1], for their shape and device.
        deviation_unit: the largest; it is drawn for each picture.
    """
    count, channels, height, width = pictures.shape
    deviation = 2.0 * deviation_unit * torch.rand(count, 1, 1, 1)  # signed range is twice the unit range
    fine = torch.randn(count, channels, height, width)
    coarse = torch.randn(count, channels, (height + 1) // 2, (width + 1) // 2)
    grains = coarse.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)[..., :height, :width]
    noise = (deviation * (fine + grains) * 0.5**0.5).to(pictures.device)
    return Change(lambda given: given + noise, lambda result: result, torch.ones_like(pictures[:, :1]))


def draw_shift(pictures: Tensor) -> Change:
    """A shift by whole pixels, one for all pictures, other than none; what comes in is the border, repeated."""
    reach = 2 * _SHIFT_PX + 1
    place = int(torch.randint(reach * reach - 1, ()))
    place += place >= reach * reach // 2  # the middle is the shift by 0
    down, right = place // reach - _SHIFT_PX, place % reach - _SHIFT_PX

    def shifted(given: Tensor) -> Tensor:
        height, width = given.shape[-2:]
        padded = F.pad(given, [_SHIFT_PX] * 4, mode="replicate")
        top, left = _SHIFT_PX - down, _SHIFT_PX - right
        return padded[..., top : top + height, left : left + width]

    inside = F.pad(torch.ones_like(pictures[:, :1]), [_SHIFT_PX] * 4)
    height, width = pictures.shape[-2:]
    top, left = _SHIFT_PX - down, _SHIFT_PX - right
    valid = _without_border(inside[..., top : top + height, left : left + width])
    return Change(shifted, shifted, valid)


def draw_warp(pictures: Tensor) -> Change:
    """A small turn, zoom, translation and smooth bend, and another brightness, drawn for each picture.

    Pictures are resampled by cubic interpolation: a linear one blurs the target, and the loss would train blur.
    """
    count, _, height, width = pictures.shape
    draws = 2.0 * torch.rand(count, 5) - 1.0
    angle, zoom = _ROTATION_RAD * draws[:, 0], 1.0 + _ZOOM * draws[:, 1]
    half = torch.tensor([width / 2.0, height / 2.0])
    move = _TRANSLATION_PX * draws[:, 2:4] / half
    cosine, sine = zoom * angle.cos(), zoom * angle.sin()
    rows = torch.stack([
        torch.stack([cosine, -sine * half[1] / half[0], move[:, 0]], dim=1),
        torch.stack([sine * half[0] / half[1], cosine, move[:, 1]], dim=1),
    ], dim=1)  # (N, 2, 3)  # fmt: skip
    grid = F.affine_grid(rows, [count, 1, height, width], align_corners=False)  # (N, H, W, 2)
    bend = _BEND_PX * torch.randn(count, 2, _BEND_POINTS, _BEND_POINTS) / half.view(1, 2, 1, 1)
    grid = grid + F.interpolate(bend, (height, width), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    inside = (grid.abs() <= 1.0).all(dim=3)[:, None].to(pictures)
    grid, gain = grid.to(pictures.device), (1.0 + _BRIGHTNESS * draws[:, 4]).view(-1, 1, 1, 1).to(pictures.device)

    def warped(given: Tensor) -> Tensor:
        sampled = F.grid_sample(given.float(), grid, mode="bicubic", padding_mode="border", align_corners=False)
        return (gain * (sampled + 1.0) - 1.0).to(given.dtype)  # brightness is a factor of the unit range

    return Change(warped, warped, _without_border(inside))


def inconsistency(changed: Tensor, result: Tensor, change: Change) -> Tensor:
    """Mean absolute difference between the translation of changed pictures and the changed translation.

    Args:
        changed: (N, 3, H, W), G(T(x)).
        result: (N, 3, H, W), G(x); no gradient flows into it: what is to become steady is not to become blurred.
        change: T.
    Returns:
        A scalar; 0 where nothing is valid.
    """
    difference = (changed.float() - change.of_result(result.detach()).float()).abs() * change.valid_unit
    return difference.sum() / (changed.shape[1] * change.valid_unit.sum()).clamp(min=1.0)


def _without_border(valid_unit: Tensor) -> Tensor:
    """Erodes (N, 1, H, W) by ``_MARGIN_PX``, and takes as much off the picture's border."""
    outside = F.pad(1.0 - valid_unit, [_MARGIN_PX] * 4, value=1.0)
    return 1.0 - F.max_pool2d(outside, 2 * _MARGIN_PX + 1, stride=1)
