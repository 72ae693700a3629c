"""The networks of ``swap``: settings, and construction of the encoder and the generator."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from stylegan_core.choices import ExtractorName
from stylegan_core.networks.resnet import Padding
from stylegan_core.networks.swap.encoder import SwapEncoder
from stylegan_core.networks.swap.generator import SwapGenerator
from stylegan_core.recipes.steadiness import SteadinessConfig


class SwapNetworksConfig(SteadinessConfig):
    """Settings of the encoder and the generator; the defaults are the paper's."""

    equalized: bool = Field(
        False, description="equalize the learning rates of all layers, for StyleGAN's rates (Karras et al. 2018)"
    )
    channels: int = Field(
        32, ge=4, description="channels of the encoder's first and the generator's last layer; doubled inwards"
    )
    most_channels: int = Field(512, ge=4, description="channels of the layers at the size of the structure code")
    blocks: int = Field(4, ge=1, description="residual blocks of the generator, at the size of the structure code")
    downsamplings: int = Field(4, ge=1, le=5, description="downsamplings by 2 to the structure code")
    half_resolution: bool = Field(
        False, description="run on 2 x 2 px cells: one more downsampling, a quarter of the cost"
    )
    structure_channels: int = Field(8, ge=1, description="channels of the structure code, a map")
    texture_width: int = Field(2048, ge=4, description="width of the texture code, a vector")
    fine_structure_channels: int = Field(
        0, ge=0, description="channels of a second structure code at twice the size, for edges; 0: none"
    )
    structure_bound: float = Field(0.0, ge=0.0, description="soft limit of the structure code in deviations; 0: none")
    grain: bool = Field(True, description="the generator's blocks get noise, fixed to the frame")
    fourier_features: int = Field(
        0,
        ge=0,
        le=64,
        description="waves of the smoothed colours beside the structure codes: strokes in even areas",
    )
    colour_matched: bool = Field(
        False,
        description="the generator changes the content in the reference's mean and covariance of colours, instead of "
        "making the picture from the codes alone",
    )
    style_shifts: bool = Field(
        False, description="the texture code also shifts features, as in conditional instance normalization"
    )
    padding: Padding = Field("zeros", description="padding of convolutions")
    texture_trunk: bool = Field(
        False,
        description="the texture code also sees statistics of trained features (efficientnet_lite0), which the model "
        "then contains",
    )

    def extractors(self) -> tuple[ExtractorName, ...]:
        """See ``RecipeConfig``."""
        own: tuple[ExtractorName, ...] = ("efficientnet_lite0",) if self.texture_trunk else ()
        return (*super().extractors(), *own)

    def halvings(self) -> int:
        """Downsamplings by 2 between a picture and its structure code."""
        return self.downsamplings + self.half_resolution

    def build_encoder(self) -> SwapEncoder:
        """Builds the encoder with these settings."""
        return SwapEncoder(
            self.channels,
            self.structure_channels,
            self.texture_width,
            downsamplings=self.downsamplings,
            fine_channels=self.fine_structure_channels,
            bound=self.structure_bound,
            waves=self.fourier_features,
            trunk=self.texture_trunk,
            unshuffle=self._cell(),
            **self._common(),
        )

    def build_generator(self) -> SwapGenerator:
        """Builds the generator of the encoder's codes."""
        fine, waves = self.fine_structure_channels, 2 * self.fourier_features
        return SwapGenerator(
            self.channels,
            self.structure_channels + waves,
            self.texture_width,
            self.blocks,
            upsamplings=self.downsamplings,
            fine_channels=fine + waves if fine else 0,
            grain=self.grain,
            shift=self.style_shifts,
            shuffle=self._cell(),
            **self._common(),
        )

    def _cell(self) -> int:
        return 2 if self.half_resolution else 1

    def _common(self) -> dict[str, Any]:
        return {
            "most_channels": self.most_channels,
            "anti_aliased": self.anti_aliased,
            "padding": self.padding,
            "colours": self.colour_matched,
        }
