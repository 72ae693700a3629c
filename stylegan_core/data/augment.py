"""Differentiable augmentation of a discriminator's input, for small training sets.

DiffAugment: Zhao et al. 2020, Differentiable Augmentation for Data-Efficient GAN Training (arXiv 2006.10738). With a
probability that follows overfitting it is ADA: Karras et al. 2020, Training Generative Adversarial Networks with
Limited Data (arXiv 2006.06676).
"""

from __future__ import annotations

import torch
from torch import Tensor

_BRIGHTNESS = 0.5
_TRANSLATION = 1 / 8
_CUTOUT = 0.5


def augment(pictures: Tensor, probability: Tensor | float = 1.0) -> Tensor:
    """Colour, shift and cutout, drawn independently for every picture, by torch's global generator.

    Args:
        pictures: (N, C, H, W) in [-1, 1]; C is a multiple of 3: pictures that belong together, one after the other,
            get the same shift, cutout and colour.
        probability: that each of the three is applied to a picture.
    Returns:
        (N, C, H, W), differentiable in ``pictures``.
    """
    for change in (_colour, _shift, _cut_out):
        changed = change(pictures)
        chosen = torch.rand(len(pictures)).to(pictures.device) < probability
        pictures = torch.where(chosen.view(-1, 1, 1, 1), changed, pictures)
    return pictures


def _draw(pictures: Tensor) -> Tensor:
    """(N, 1, 1, 1) in [0, 1), drawn on the CPU: equal on every device, and in the checkpoint."""
    return torch.rand(len(pictures), 1, 1, 1).to(pictures.device)


def _colour(pictures: Tensor) -> Tensor:
    brightness, saturation, contrast = _draw(pictures) - 0.5, 2 * _draw(pictures), _draw(pictures) + 0.5
    parts = []
    for picture in torch.split(pictures, 3, dim=1):
        bright = picture + 2 * _BRIGHTNESS * brightness
        grey = bright.mean(dim=1, keepdim=True)
        saturated = grey + saturation * (bright - grey)
        mean = saturated.mean(dim=(1, 2, 3), keepdim=True)
        parts.append(mean + contrast * (saturated - mean))
    return torch.cat(parts, dim=1)


def _shift(pictures: Tensor) -> Tensor:
    height, width = pictures.shape[-2:]
    down = ((2 * _draw(pictures) - 1) * (height * _TRANSLATION)).round()
    right = ((2 * _draw(pictures) - 1) * (width * _TRANSLATION)).round()
    rows = torch.arange(height, device=pictures.device).view(1, 1, height, 1) - down  # (N, 1, H, 1)
    columns = torch.arange(width, device=pictures.device).view(1, 1, 1, width) - right
    inside = ((rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)).to(pictures.dtype)
    row = rows.clamp(0, height - 1).long().expand(-1, pictures.shape[1], -1, width)
    column = columns.clamp(0, width - 1).long().expand(-1, pictures.shape[1], height, -1)
    return pictures.gather(2, row).gather(3, column) * inside


def _cut_out(pictures: Tensor) -> Tensor:
    height, width = pictures.shape[-2:]
    top = (_draw(pictures) * height).floor() - int(height * _CUTOUT) // 2
    left = (_draw(pictures) * width).floor() - int(width * _CUTOUT) // 2
    rows = torch.arange(height, device=pictures.device).view(1, 1, height, 1)
    columns = torch.arange(width, device=pictures.device).view(1, 1, 1, width)
    cut = (rows >= top) & (rows < top + int(height * _CUTOUT))
    cut = cut & (columns >= left) & (columns < left + int(width * _CUTOUT))
    return pictures * (~cut).to(pictures.dtype)
