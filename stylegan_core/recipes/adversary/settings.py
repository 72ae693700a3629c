"""Settings of a recipe's adversarial part, and construction of its discriminator."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from stylegan_core.choices import ExtractorName
from stylegan_core.losses.adversarial import Adversarial
from stylegan_core.networks.discriminators import Discriminator, Layout
from stylegan_core.networks.discriminators.projected import ProjectedDiscriminator
from stylegan_core.networks.patch_discriminator import DiscriminatorNorm, PatchDiscriminator
from stylegan_core.recipes.base import RecipeConfig


class AdversarialConfig(RecipeConfig):
    """Settings of every recipe with a discriminator."""

    discriminator_layout: Layout = Field(
        "patch",
        description="one discriminator, one for each scale, one for all and one for each region, or heads on trained "
        "features (efficientnet_lite0) at several scales",
    )
    projected_channels: int = Field(64, ge=4, description="channels of each head of projected")
    projected_mixes_scales: bool = Field(
        True, description="with projected: coarse features are mixed into finer ones; false gives texture more weight"
    )
    discriminator_pixels: bool = Field(
        True, description="with projected: a patch discriminator of the pixels beside it"
    )
    discriminator_channels: int = Field(64, ge=4)
    discriminator_layers: int = Field(
        3, ge=1, le=5, description="strided layers; the window is 16, 34, 70 px for 1, 2, 3"
    )
    discriminator_scales: int = Field(2, ge=1, le=4, description="discriminators of multi_scale, each at half the size")
    discriminator_regions: int = Field(2, ge=2, le=8, description="regions on each side of the grid of global_local")
    discriminator_norm: DiscriminatorNorm = "instance"
    discriminator_dropout: float = Field(0.0, ge=0.0, lt=1.0, description="dropout rate of the discriminator")
    frozen_layers: int = Field(
        0,
        ge=0,
        description="frozen layers of the discriminator when a training starts from a model: FreezeD (Mo et al. 2020)",
    )
    adversarial: Adversarial = "least_squares"
    adversarial_weight: float = Field(1.0, ge=0.0)
    gradient_penalty_weight: float = Field(
        0.0,
        ge=0.0,
        description="weight of WGAN-GP's penalty on interpolates (Gulrajani et al. 2017), in addition to r1_gamma",
    )
    augmentation: Literal["none", "mild", "diffaugment", "ada"] = Field(
        "none",
        description="augments discriminator inputs; mild: little colour, mirrored borders, no cutout; ada: diffaugment "
        "with a probability that rises with overfitting",
    )
    augment_below_pictures: int = Field(
        5000, ge=0, description="no augmentation of larger sets, whose results it makes worse"
    )
    ada_target: float = Field(
        0.6, gt=0.0, lt=1.0, description="target of ADA's overfitting measure, the discriminator's certainty of reals"
    )
    ada_kimg: float = Field(
        100.0, gt=0.0, description="thousands of pictures in which the probability can rise from 0 to 1"
    )

    @model_validator(mode="after")
    def _regions_fit(self) -> Self:
        if self.adversarial_weight == 0 or (self.discriminator_layout == "projected" and not self.discriminator_pixels):
            return self
        smallest_px = self.crop_px
        if self.discriminator_layout == "multi_scale":
            smallest_px //= 2 ** (self.discriminator_scales - 1)
        elif self.discriminator_layout == "global_local":
            smallest_px //= self.discriminator_regions
        least_px = 3 * 2**self.discriminator_layers
        if smallest_px < least_px:
            raise ValueError(
                f"with crop_px {self.crop_px} the smallest input of {self.discriminator_layout} is {smallest_px} px, "
                f"but discriminator_layers {self.discriminator_layers} require {least_px} or more"
            )
        return self

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.frozen_layers > self.discriminator_layers + 1:
            raise ValueError(
                f"frozen_layers is {self.frozen_layers}, but discriminator_layers "
                f"{self.discriminator_layers} has {self.discriminator_layers + 2} layers: one must be trainable"
            )
        if self.augmentation == "ada" and self.adversarial == "wasserstein":
            raise ValueError("ada measures the discriminator's certainty, which wasserstein logits do not express")
        return self

    @model_validator(mode="after")
    def _projected_fits(self) -> Self:
        if self.discriminator_layout != "projected" or self.adversarial_weight == 0:
            return self
        refused = {
            "augmentation none: heads on trained features soon memorize a set; use mild, diffaugment or ada": (
                self.augmentation == "none"
            ),
            "frozen_layers: its features are frozen already, and its heads are small": self.frozen_layers > 0,
            "weight_clip: spectral normalization undoes it": self.weight_clip > 0,
        }
        for reason, is_set in refused.items():
            if is_set:
                raise ValueError(f"discriminator_layout projected does not work with {reason}")
        return self

    def extractors(self) -> tuple[ExtractorName, ...]:
        """See ``RecipeConfig``."""
        return (
            ("efficientnet_lite0",) if self.discriminator_layout == "projected" and self.adversarial_weight > 0 else ()
        )

    def fresh_start_warning(self) -> str | None:
        """Frozen layers of a discriminator that was never trained stay random."""
        if not self.frozen_layers:
            return None
        return "frozen_layers freezes discriminator layers that are untrained: name a model in train.common.init_from"

    def build_discriminator(self, in_channels: int = 3) -> Discriminator | ProjectedDiscriminator:
        """Builds a discriminator with these settings.

        Args:
            in_channels: 6 for a picture concatenated with its content.
        """
        if self.discriminator_layout == "projected":
            pixels = None
            if self.discriminator_pixels:
                pixels = PatchDiscriminator(
                    in_channels,
                    self.discriminator_channels,
                    self.discriminator_layers,
                    self.discriminator_norm,
                    dropout=self.discriminator_dropout,
                )
            return ProjectedDiscriminator(
                self.crop_px,
                self.projected_channels,
                in_channels,
                pixels=pixels,
                dropout=self.discriminator_dropout,
                mixes_scales=self.projected_mixes_scales,
            )
        discriminator = Discriminator(
            in_channels,
            self.discriminator_channels,
            self.discriminator_layers,
            self.discriminator_norm,
            layout=self.discriminator_layout,
            scales=self.discriminator_scales,
            regions=self.discriminator_regions,
            dropout=self.discriminator_dropout,
        )
        discriminator.freeze(self.frozen_layers)
        return discriminator
