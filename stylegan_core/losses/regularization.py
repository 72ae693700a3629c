"""Penalties that keep a discriminator smooth."""

from __future__ import annotations

import torch
from torch import Tensor

from stylegan_core.losses.adversarial import Logits


def r1_penalty(real: Tensor, logits: Logits) -> Tensor:
    """Zero-centered gradient penalty on real images (Mescheder et al. 2018, arXiv 1801.04406).

    Args:
        real: (N, C, H, W) in [-1, 1], requires grad.
        logits: (N, 1) or (N, 1, h, w), unbounded, or a list of them; the sum over an image's logits is what is
            differentiated.
    Returns:
        (N,) squared gradient norm per image, not yet times gamma / 2.
    Raises:
        ValueError: if ``real`` does not require grad.
    """
    total = logits.sum() if isinstance(logits, Tensor) else torch.stack([part.sum() for part in logits]).sum()
    return _squared_gradient(real, total)


def wgan_gradient_penalty(mixed: Tensor, logits: Logits) -> Tensor:
    """One-centred gradient penalty on mixtures of real and fake (Gulrajani et al. 2017, arXiv 1704.00028).

    Args:
        mixed: (N, C, H, W), random mixtures, requires grad.
        logits: (N, ...), unbounded, or a list of them; their mean is what is differentiated, as it is the critic's
            value of an image in the loss, however many windows it has.
    Returns:
        (N,) squared distance of the gradient's norm from 1.
    Raises:
        ValueError: if ``mixed`` does not require grad.
    """
    parts = [logits] if isinstance(logits, Tensor) else logits
    values = torch.stack([part.flatten(1).mean(dim=1) for part in parts]).mean(dim=0)  # (N,)
    return (_squared_gradient(mixed, values.sum()).clamp(min=1e-12).sqrt() - 1).square()


def _squared_gradient(pictures: Tensor, value: Tensor) -> Tensor:
    if not pictures.requires_grad:
        raise ValueError("the penalty needs the gradient with respect to the images: requires_grad is False")
    (gradient,) = torch.autograd.grad(value, pictures, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1)
