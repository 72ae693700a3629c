"""Penalties that keep a discriminator smooth."""

from __future__ import annotations

import torch
from torch import Tensor


def r1_penalty(real: Tensor, logits: Tensor) -> Tensor:
    """Zero-centered gradient penalty on real images (Mescheder et al. 2018, arXiv 1801.04406).

    Args:
        real: (N, C, H, W) in [-1, 1], requires grad.
        logits: (N, 1) or (N, 1, h, w), unbounded; the sum over an image's logits is what is differentiated.
    Returns:
        (N,) squared gradient norm per image, not yet times gamma / 2.
    Raises:
        ValueError: if ``real`` does not require grad.
    """
    if not real.requires_grad:
        raise ValueError("r1_penalty needs the gradient with respect to the images: real.requires_grad is False")
    (gradient,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1)


def wgan_gradient_penalty(mixed: Tensor, logits: Tensor) -> Tensor:
    """One-centred gradient penalty on mixtures of real and fake (Gulrajani et al. 2017, arXiv 1704.00028).

    Args:
        mixed: (N, C, H, W), random mixtures, requires grad.
        logits: (N, ...), unbounded.
    Returns:
        (N,) squared distance of the gradient's norm from 1.
    Raises:
        ValueError: if ``mixed`` does not require grad.
    """
    return (r1_penalty(mixed, logits).clamp(min=1e-12).sqrt() - 1).square()
