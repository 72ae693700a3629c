"""Equalized learning rates (Karras et al. 2018, Progressive Growing of GANs, arXiv 1710.10196).

Adam moves every weight by about its learning rate, whatever the weight's scale. StyleGAN's rates are for weights of
unit scale: on weights as they are initialized otherwise, the first steps would overwrite wide layers.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn.utils import parametrize


class HeScale(nn.Module):
    """Multiplies a stored weight by He's constant of its shape, sqrt(2 / inputs).

    Args:
        weight: (out, in, ...), for its shape.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.scale = math.sqrt(2.0 / weight[0].numel())

    def forward(self, stored: Tensor) -> Tensor:
        """The weight in use."""
        return stored * self.scale

    def right_inverse(self, weight: Tensor) -> Tensor:
        """What is stored for a weight: of about unit scale after He's initialization."""
        return weight / self.scale


def equalize(network: nn.Module) -> nn.Module:
    """Equalizes the learning rates of all weights of two or more dimensions in ``network``; biases stay as they are.

    The network computes the same as before: only what the optimizer sees is scaled. Call it before the optimizer and
    the moving average are made. Layers that are normalized by their weight's singular value are left alone, since their
    scale does not matter.
    """
    for module in list(network.modules()):
        weight = getattr(module, "weight", None)
        if isinstance(weight, nn.Parameter) and weight.dim() > 1:
            parametrize.register_parametrization(module, "weight", HeScale(weight))
    return network
