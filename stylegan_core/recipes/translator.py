"""The generator that picture-to-picture recipes share: its settings, and how it is built."""

from __future__ import annotations

from pydantic import Field
from torch import nn

from stylegan_core.networks.resnet import Norm, Output, Padding, ResnetGenerator
from stylegan_core.recipes.adversary import AdversarialConfig


class TranslatorConfig(AdversarialConfig):
    """Settings of a recipe with a picture-to-picture generator and a discriminator."""

    channels: int = Field(64, ge=4, description="of the generator's first layer")
    blocks: int = Field(9, ge=1, description="residual blocks")
    downsamplings: int = Field(2, ge=0, le=4, description="halvings before the residual blocks")
    norm: Norm = Field("instance", description="none makes tiles exact and keeps colours of unlike pictures")
    output: Output = Field("tanh", description="residual starts at the identity; for norm none")
    padding: Padding = Field("reflect", description="how convolutions see past the border")

    def build_generator(self, *, skips: bool = False) -> nn.Module:
        """A generator of these settings, with ``receptive_field_px``.

        Args:
            skips: encoder features are added to the decoder's.
        """
        return ResnetGenerator(
            self.channels,
            self.blocks,
            downsamplings=self.downsamplings,
            norm=self.norm,
            padding=self.padding,
            output=self.output,
            skips=skips,
        )
