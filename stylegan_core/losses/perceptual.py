"""Losses on the layers of a feature extractor.

Content and style (Gram) distances: Gatys et al. 2016, Image Style Transfer Using Convolutional Neural Networks, and
Johnson et al. 2016 (arXiv 1603.08155). Sliced: Heitz et al. 2021, A Sliced Wasserstein Loss for Neural Texture
Synthesis (arXiv 2006.07229).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_FLAT = 1e-2  # deviation below which a channel counts as flat, and its noise is not enlarged

_FLOOR = 1e-6  # of variances under a root, whose gradient is infinite at 0


def feature_distance(made: Tensor, content: Tensor) -> Tensor:
    """Mean squared difference of one layer, (N, C, h, w) each."""
    return F.mse_loss(made.float(), content.float())


def structure_distance(made: Tensor, content: Tensor) -> Tensor:
    """``feature_distance`` after every channel of every picture lost its mean and deviation.

    It compares where features differ, not by how much: brightness and contrast are determined by the style.
    """
    return F.mse_loss(_normalized(made), _normalized(content))


def normalized_distance(made: Tensor, content: Tensor) -> Tensor:
    """Mean absolute difference of one layer after instance normalization, (N, C, h, w) each.

    Chen et al. 2018, CartoonGAN, compare features themselves; without the mean and deviation of each channel, colours
    and contrasts are free.
    """
    return (_normalized(made) - _normalized(content)).abs().mean()


def gram_matrices(features: Tensor) -> Tensor:
    """(N, C, h, w) to (N, C, C) fp32, the mean over places of products of channels."""
    flat = features.float().flatten(2)  # (N, C, h * w)
    if torch.is_autocast_enabled(features.device.type):  # bf16 sums of thousands of products are inaccurate
        with torch.autocast(features.device.type, enabled=False):
            return flat @ flat.transpose(1, 2) / flat.shape[2]
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def gram_distance(made: Tensor, style: Tensor) -> Tensor:
    """Mean squared difference of each result's Gram matrix from the mean one of the style crops.

    Random crops can replace the whole style picture: their noise does not change the gradient's expectation.

    Args:
        made: (N, C, h, w), one layer.
        style: (M, C, h', w'), the same layer.
    Returns:
        A scalar.
    """
    made_grams, style_gram = gram_matrices(made), gram_matrices(style).mean(dim=0)
    return (made_grams - style_gram).square().mean()


def sliced_feature_distance(made: Tensor, style: Tensor, directions: Tensor) -> Tensor:
    """Mean squared Wasserstein-2 distance of each result's feature vectors from those of the style, along directions.

    Args:
        made: (N, C, P), one layer at P places of each result.
        style: (C, P), at as many places of all crops of the style.
        directions: (K, C), unit vectors.
    Returns:
        A scalar.
    """
    device_type = made.device.type
    if torch.is_autocast_enabled(device_type):  # bf16 would quantize the values before sorting
        with torch.autocast(device_type, enabled=False):
            ours, theirs = directions @ made.float(), directions @ style.float()
    else:
        ours, theirs = directions @ made.float(), directions @ style.float()
    return (ours.sort(dim=2).values - theirs.sort(dim=1).values).square().mean()  # (N, K, P) and (K, P)


def moment_distance(made: Tensor, style: Tensor) -> Tensor:
    """Mean squared difference of channel means and deviations of each result from its own style picture's.

    Huang and Belongie 2017, Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization (arXiv
    1703.06868). Every channel is divided by its mean variance in the style pictures: trained layers differ in scale by
    orders of magnitude, and the paper's sum would see only the largest channels.

    Args:
        made: (N, C, h, w), one layer.
        style: (N, C, h', w'), the same layer.
    Returns:
        A scalar.
    """
    (made_variance, made_mean), (style_variance, style_mean) = (
        torch.var_mean(features.float(), dim=(2, 3), correction=0) for features in (made, style)
    )
    scale = style_variance.mean(dim=0) + _FLAT**2
    means = (made_mean - style_mean).square()
    deviations = ((made_variance + _FLOOR).sqrt() - (style_variance + _FLOOR).sqrt()).square()
    return ((means + deviations) / scale).mean()


def unit_directions(channels: int, count: int, device: torch.device) -> Tensor:
    """(count, channels) unit vectors by torch's global generator, drawn on the CPU."""
    return F.normalize(torch.randn(count, channels), dim=1).to(device)


def total_variation(pictures: Tensor) -> Tensor:
    """Mean absolute difference of neighbours, down and to the right, of (N, C, H, W)."""
    wide = pictures.float()
    down = (wide[..., 1:, :] - wide[..., :-1, :]).abs().mean()
    return down + (wide[..., 1:] - wide[..., :-1]).abs().mean()


def _normalized(features: Tensor) -> Tensor:
    wide = features.float()
    variance, mean = torch.var_mean(wide, dim=(2, 3), keepdim=True, correction=0)
    return (wide - mean) * torch.rsqrt(variance + _FLAT**2)
