"""Adversarial losses.

Least squares (Mao et al. 2017, arXiv 1611.04076), non-saturating (Goodfellow et al. 2014, arXiv 1406.2661) and
hinge (Miyato et al. 2018, arXiv 1802.05957), Wasserstein (Arjovsky et al. 2017, arXiv 1701.07875). Logits are positive
for real and computed with in fp32. A discriminator of several parts returns a list of logits: the loss is the mean over
the parts, whatever their sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Adversarial = Literal["least_squares", "nonsaturating", "hinge", "wasserstein"]

Logits = Tensor | Sequence[Tensor]


def generator_loss(kind: Adversarial, fake_logits: Logits) -> Tensor:
    """The generator's loss on the discriminator's logits of fakes.

    Args:
        kind: which loss.
        fake_logits: any shape, unbounded; or a list of them.
    Returns:
        A scalar; the mean over all logits of a part.
    """
    if not isinstance(fake_logits, Tensor):
        return torch.stack([generator_loss(kind, logits) for logits in fake_logits]).mean()
    logits = fake_logits.float()
    if kind == "least_squares":
        return (logits - 1).square().mean()
    if kind == "nonsaturating":
        return F.softplus(-logits).mean()
    return -logits.mean()


def discriminator_loss(kind: Adversarial, real_logits: Logits, fake_logits: Logits) -> Tensor:
    """The discriminator's loss on its logits of reals and fakes.

    Args:
        kind: which loss.
        real_logits: any shape, unbounded; or a list of them.
        fake_logits: the same.
    Returns:
        A scalar; the mean of both sides for least squares, as its paper has it, the sum for the others.
    """
    if not isinstance(real_logits, Tensor):
        pairs = zip(real_logits, fake_logits, strict=True)
        return torch.stack([discriminator_loss(kind, real, fake) for real, fake in pairs]).mean()
    assert isinstance(fake_logits, Tensor)
    real, fake = real_logits.float(), fake_logits.float()
    if kind == "least_squares":
        return 0.5 * ((real - 1).square().mean() + fake.square().mean())
    if kind == "nonsaturating":
        return F.softplus(-real).mean() + F.softplus(fake).mean()
    if kind == "wasserstein":
        return fake.mean() - real.mean()
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
