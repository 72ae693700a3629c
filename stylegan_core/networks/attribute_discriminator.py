"""A discriminator with a second head for a picture's attributes (Choi et al. 2018, StarGAN, arXiv 1711.09020)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_core.networks.discriminators import Discriminator, DiscriminatorOutput
from stylegan_core.networks.discriminators.projected import ProjectedDiscriminator

_GRID = 3


class AttributeDiscriminator(nn.Module):
    """Real or fake, and the attributes, from the same features.

    Args:
        discriminator: of any layout; the attributes come from its first part, which sees the whole picture.
        attributes: their number.
    """

    def __init__(self, discriminator: Discriminator | ProjectedDiscriminator, attributes: int) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.layers, channels = discriminator.first_part
        self.to_attributes = nn.Linear(channels * _GRID**2, attributes)

    def forward(self, pictures: Tensor) -> DiscriminatorOutput:
        """The discriminator's output on (N, 3, H, W) in [-1, 1]."""
        output: DiscriminatorOutput = self.discriminator(pictures)
        return output

    def attributes(self, output: DiscriminatorOutput) -> Tensor:
        """(N, L) fp32 logits of each attribute, positive where a picture has it."""
        features = output.features[self.layers - 1]
        # Positions matter: a head on their mean takes three times as long to learn a mouth.
        pooled = F.adaptive_avg_pool2d(features, _GRID).flatten(1)  # (N, C * 9)
        return self.to_attributes(pooled).float()  # type: ignore[no-any-return]
