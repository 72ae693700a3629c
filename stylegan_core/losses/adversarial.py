"""Adversarial losses.

Least squares (Mao et al. 2017, arXiv 1611.04076), non-saturating (Goodfellow et al. 2014, arXiv 1406.2661) and
hinge (Miyato et al. 2018, arXiv 1802.05957). Logits are positive for real and computed with in fp32.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

Adversarial = Literal["least_squares", "nonsaturating", "hinge"]


def generator_loss(kind: Adversarial, fake_logits: Tensor) -> Tensor:
    """How far the discriminator is from taking fakes for real.

    Args:
        kind: which loss.
        fake_logits: any shape, unbounded.
    Returns:
        A scalar; the mean over all logits.
    """
    logits = fake_logits.float()
    if kind == "least_squares":
        return (logits - 1).square().mean()
    if kind == "nonsaturating":
        return F.softplus(-logits).mean()
    return -logits.mean()


def discriminator_loss(kind: Adversarial, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """How far the discriminator is from telling real from fake.

    Args:
        kind: which loss.
        real_logits: any shape, unbounded.
        fake_logits: any shape, unbounded.
    Returns:
        A scalar; the mean of both sides for least squares, as its paper has it, the sum for the others.
    """
    real, fake = real_logits.float(), fake_logits.float()
    if kind == "least_squares":
        return 0.5 * ((real - 1).square().mean() + fake.square().mean())
    if kind == "nonsaturating":
        return F.softplus(-real).mean() + F.softplus(fake).mean()
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
