"""Differentiable augmentation of a discriminator's input, for small training sets.

DiffAugment: Zhao et al. 2020, Differentiable Augmentation for Data-Efficient GAN Training (arXiv 2006.10738). With a
probability that follows overfitting it is ADA: Karras et al. 2020, Training Generative Adversarial Networks with
Limited Data (arXiv 2006.06676).
"""

from __future__ import annotations

import torch
from torch import Tensor

_BRIGHTNESS = 0.5
_MILD_BRIGHTNESS = 0.2
_CONTRAST, _TINT = 0.35, 0.13
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


def augment_mildly(pictures: Tensor) -> Tensor:
    """Some brightness and saturation, and a shift that mirrors the border, for every picture, as in ``augment``.

    Palettes stay recognizable, and there are no black borders or holes, which a generator of small crops imitates.

    Args:
        pictures: (N, C, H, W) in [-1, 1], as in ``augment``.
    """
    brightness, saturation = 2 * _MILD_BRIGHTNESS * (_draw(pictures) - 0.5), _draw(pictures) + 0.5
    parts = []
    for picture in torch.split(pictures, 3, dim=1):
        grey = picture.mean(dim=1, keepdim=True)
        parts.append(grey + brightness + saturation * (picture - grey))
    changed = torch.cat(parts, dim=1)
    height, width = pictures.shape[-2:]
    row, column = _places(pictures, height), _places(pictures, width)
    rows = _mirrored(row, height).view(-1, 1, height, 1).expand(-1, pictures.shape[1], -1, width)
    columns = _mirrored(column, width).view(-1, 1, 1, width).expand(-1, pictures.shape[1], height, -1)
    return changed.gather(2, rows).gather(3, columns)


def vary_colours(pictures: Tensor, share: float) -> Tensor:
    """A share of the pictures with random contrast, brightness and tint, for references of more palettes.

    Args:
        pictures: (N, 3, H, W) in [-1, 1].
        share: probability that a picture is changed.
    """
    count = len(pictures)
    chosen = (torch.rand(count, 1, 1, 1) < share).float()  # on the CPU: the same on every device
    gain = torch.exp(chosen * (_CONTRAST * torch.randn(count, 1, 1, 1) + _TINT * torch.randn(count, 3, 1, 1)))
    offset = chosen * (_MILD_BRIGHTNESS * torch.randn(count, 1, 1, 1) + _TINT * torch.randn(count, 3, 1, 1))
    mean = pictures.mean(dim=(2, 3), keepdim=True)
    changed = (pictures - mean) * gain.to(pictures) + mean + offset.to(pictures)
    return torch.where(chosen.to(pictures) > 0, changed.clamp(-1.0, 1.0), pictures)


def _places(pictures: Tensor, side_px: int) -> Tensor:
    """(N, side) places that a shifted picture shows, beyond its borders too."""
    shift = ((2 * _draw(pictures) - 1) * (side_px * _TRANSLATION)).round().view(-1, 1)
    return torch.arange(side_px, device=pictures.device) - shift


def _mirrored(places: Tensor, side_px: int) -> Tensor:
    inside = places.abs()
    return torch.where(inside < side_px, inside, 2 * (side_px - 1) - inside).long()


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
