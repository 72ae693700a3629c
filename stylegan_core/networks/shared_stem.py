"""A discriminator whose input includes features of the generator's first layer.

Generator and discriminator share features in Chen et al. 2020, Reusing Discriminators for Encoding: Towards
Unsupervised Image-to-Image Translation (arXiv 2003.00273). Here only the first layer is shared; it belongs to
the generator.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from stylegan_core.networks.discriminators import Discriminator, DiscriminatorOutput

_LEAK = 0.2


def stem_channels(generator: nn.Module) -> int:
    """Number of features of the generator's first layer."""
    return _first_layer(generator).out_channels


class SharedStem(nn.Module):
    """Discriminates pictures and the generator's first features of them, (N, C, H, W) to a ``DiscriminatorOutput``.

    The stem's weights belong to the generator only, its state and its optimizer; no gradient reaches them from here, or
    the generator would learn to hide information from the discriminator.

    Args:
        discriminator: takes the pictures, and then the features of each of them.
        generator: its ``stem`` begins with a convolution of three channels.
    """

    def __init__(self, discriminator: Discriminator, generator: nn.Module) -> None:
        super().__init__()
        self.discriminator = discriminator
        self._stem = (_first_layer(generator),)  # a tuple, so that it is not registered as a submodule

    def forward(self, pictures: Tensor) -> DiscriminatorOutput:
        """The discriminator's logits and features, of (N, 3 * count, H, W), one picture after the other."""
        (stem,) = self._stem
        weights = {name: parameter.detach() for name, parameter in stem.named_parameters()}
        seen = [pictures]
        for picture in torch.split(pictures, 3, dim=1):
            features: Tensor = F.leaky_relu(functional_call(stem, weights, picture), _LEAK)
            seen.append(F.interpolate(features, size=pictures.shape[-2:], mode="nearest"))  # a stem may halve the size
        output: DiscriminatorOutput = self.discriminator(torch.cat([part.to(pictures.dtype) for part in seen], dim=1))
        return output


def _first_layer(generator: nn.Module) -> nn.Conv2d:
    stem = generator.stem
    first = stem[0] if isinstance(stem, nn.Sequential) else stem
    if not isinstance(first, nn.Conv2d) or first.in_channels != 3:
        raise ValueError("a shared stem needs a generator whose first layer is a convolution of a picture")
    return first
