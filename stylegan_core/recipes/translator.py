"""The generator that picture-to-picture recipes share: settings, and construction of it and its discriminator."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from torch import nn

from stylegan_core.networks.discriminators import Discriminator
from stylegan_core.networks.local_generators import LocalGenerators
from stylegan_core.networks.resnet import Norm, Output, Padding, ResnetGenerator
from stylegan_core.networks.shared_stem import SharedStem, stem_channels
from stylegan_core.networks.unet import UnetGenerator
from stylegan_core.recipes.steadiness import SteadinessConfig

_MOST_LEVELS = 8
_LOCAL_SHARE = 4
"""Ratio of the global generator's channels to a local one's."""


class TranslatorConfig(SteadinessConfig):
    """Settings of a recipe with a picture-to-picture generator and a discriminator."""

    generator: Literal["resnet", "unet"] = Field(
        "resnet", description="generator; unet has skip connections at every size"
    )
    channels: int = Field(64, ge=4, description="channels of the generator's first layer")
    blocks: int = Field(9, ge=1, description="residual blocks of a resnet")
    downsamplings: int = Field(2, ge=0, le=4, description="downsamplings by 2 before the residual blocks of a resnet")
    unet_levels: int | None = Field(
        None,
        ge=1,
        le=_MOST_LEVELS,
        description="downsamplings by 2 of a unet; default: until a crop is one pixel, at most 8",
    )
    norm: Norm = Field(
        "instance",
        description="normalization; none makes tiles exact and keeps unseen colours",
    )
    output: Output = Field("tanh", description="residual starts at the identity, for norm none")
    padding: Padding = Field("reflect", description="padding of convolutions")
    fourier_features: int = Field(
        0,
        ge=0,
        le=64,
        description="waves of the smoothed colours that a resnet sees beside the picture: strokes in even areas",
    )
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="dropout rate of the generator")
    local_generators: int = Field(
        0, ge=0, le=8, description="regions on each side of a grid, each refined by its own generator; 0: off"
    )
    shared_stem: bool = Field(
        False, description="the generator's first features are an additional input of the discriminator"
    )

    @model_validator(mode="after")
    def _generator_fits(self) -> Self:
        if self.generator == "resnet":
            self.check_crop(halvings=self.downsamplings, discriminator_layers=0)
        elif self.crop_px < 2 ** self.levels():
            raise ValueError(f"crop_px is {self.crop_px}, and unet_levels {self.levels()} need {2 ** self.levels()}")
        if self.local_generators and self.crop_px < 8 * self.local_generators:
            least_px = 8 * self.local_generators
            raise ValueError(
                f"crop_px is {self.crop_px}, and local_generators {self.local_generators} need {least_px} or more"
            )
        if self.shared_stem and self.discriminator_layout == "projected":
            raise ValueError(
                "shared_stem gives the discriminator the generator's features, projected trained ones: choose"
            )
        return self

    @model_validator(mode="after")
    def _waves_have_a_layer(self) -> Self:
        if self.fourier_features and (self.generator == "unet" or self.shared_stem):
            other = "generator unet" if self.generator == "unet" else "shared_stem"
            raise ValueError(f"fourier_features does not work with {other}: set it to 0")
        return self

    def levels(self) -> int:
        """Downsamplings of a U-Net, as set or by ``crop_px``."""
        return self.unet_levels or min(self.crop_px.bit_length() - 1, _MOST_LEVELS)

    def build_generator(self, *, skips: bool = False) -> nn.Module:
        """Builds a generator with these settings; it has ``encode`` and ``stage_channels``.

        Args:
            skips: whether a resnet adds encoder features to the decoder's.
        """
        whole: ResnetGenerator | UnetGenerator
        if self.generator == "unet":
            whole = UnetGenerator(
                self.channels,
                self.levels(),
                norm=self.norm,
                padding=self.padding,
                anti_aliased=self.anti_aliased,
                output=self.output,
                dropout=self.dropout,
            )
        else:
            whole = ResnetGenerator(
                self.channels,
                self.blocks,
                downsamplings=self.downsamplings,
                norm=self.norm,
                padding=self.padding,
                anti_aliased=self.anti_aliased,
                output=self.output,
                skips=skips,
                dropout=self.dropout,
                fourier_features=self.fourier_features,
            )
        if not self.local_generators:
            return whole
        width = max(self.channels // _LOCAL_SHARE, 4)
        return LocalGenerators(whole, self.local_generators, channels=width, padding=self.padding)

    def build_discriminator_for(self, generator: nn.Module, in_channels: int = 3) -> nn.Module:
        """Builds a discriminator with these settings; with ``shared_stem`` it also sees ``generator``'s features.

        Args:
            generator: of ``build_generator``; its weights are not trained with the discriminator.
            in_channels: 6 for a picture concatenated with its content.
        """
        if not self.shared_stem:
            return self.build_discriminator(in_channels)
        features = in_channels // 3 * stem_channels(generator)
        discriminator = self.build_discriminator(in_channels + features)
        assert isinstance(discriminator, Discriminator)  # the settings refuse projected
        return SharedStem(discriminator, generator)
