"""Paired translation with a conditional patch discriminator.

Isola et al. 2017, Image-to-Image Translation with Conditional Adversarial Networks (arXiv 1611.07004). Feature matching
is that of Wang et al. 2018, High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs (arXiv
1711.11585). The direction, such as label maps to photographs, is determined by which side is the content.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from stylegan_core.choices import ZoomFilter
from stylegan_core.data.batch import Batch
from stylegan_core.losses.adversarial import Adversarial
from stylegan_core.losses.reconstruction import masked_l1
from stylegan_core.losses.style import feature_matching
from stylegan_core.networks.blend import blend_by_mask
from stylegan_core.recipes.adversary import AdversarialRecipe, Adversary
from stylegan_core.recipes.base import (
    Conditions,
    Fakes,
    Kind,
    Losses,
    Needs,
    Presets,
    RecipeConfig,
)
from stylegan_core.recipes.translator import TranslatorConfig


class Config(TranslatorConfig):
    """Settings of ``pix2pix``; the defaults are the paper's for 400 pairs.

    At batch size 1, its batch norm is this instance norm.
    """

    budget_steps: int = Field(80_000, ge=1, description="generator steps; a larger value continues a finished run")
    crop_px: int = Field(256, ge=16, description="side of the training crops")
    batch_size: int = Field(1, ge=1)
    generator: Literal["resnet", "unet"] = Field(
        "unet", description="generator; unet has skip connections at every size"
    )
    dropout: float = Field(0.5, ge=0.0, lt=1.0, description="dropout rate of the generator")
    adversarial: Adversarial = "nonsaturating"
    adversarial_weight: float = Field(
        1.0, ge=0.0, description="weight of the adversarial loss; 0: L1-only baseline without a discriminator"
    )
    l1_weight: float = Field(100.0, ge=0.0, description="weight of the L1 distance to the truth")
    feature_matching_weight: float = Field(
        0.0, ge=0.0, description="weight of the distance between the discriminator's features of result and truth"
    )
    zoom_min: float = Field(
        1.0, gt=0.0, le=1.0, description="smallest zoom, as a share of the crop's side; for small sets"
    )
    content_zoom_filter: ZoomFilter = Field(
        "linear", description="how zoomed content is enlarged; nearest for label maps, as in prepare"
    )


class Recipe(AdversarialRecipe):
    """A generator and a discriminator that sees content and picture together."""

    kind: ClassVar[Kind] = Kind.TRANSLATE
    needs: ClassVar[Needs] = Needs(content=True, style=True, paired=True)
    paper: ClassVar[str] = "Isola et al. 2017, arXiv 1611.07004"
    presets: ClassVar[Presets] = {
        "two_cores": {
            "budget_steps": 5000,
            "lr_schedule": "linear",
            "lr_decay_start_step": 2500,
            "lr_decay_end_step": 5000,
            "crop_px": 128,
            "generator_lr": 3e-4,
            "discriminator_lr": 3e-4,
            "channels": 24,
            "unet_levels": 6,
            "discriminator_channels": 32,
            "adversarial": "least_squares",
            "zoom_min": 0.8,
            "ema_decay": 0.995,
        },
        "one_gpu": {
            "budget_steps": 30_000,
            "lr_schedule": "linear",
            "lr_decay_start_step": 15_000,
            "lr_decay_end_step": 30_000,
            "batch_size": 4,
            "adversarial": "least_squares",
            "zoom_min": 0.8,
        },
        "paper": {},
    }

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        # The generator is first, so that its initial weights do not depend on the discriminator.
        self.networks["generator"] = config.build_generator(skips=True)
        if config.adversarial_weight > 0:
            self.networks["discriminator"] = config.build_discriminator_for(self.networks["generator"], in_channels=6)
        self.adversary = Adversary(config)

    @classmethod
    def needs_with(cls, config: RecipeConfig) -> Needs:
        """Zoomed crops, if they are on, and how content is enlarged."""
        assert isinstance(config, Config)
        return replace(cls.needs, zoom_min=config.zoom_min, content_filter=config.content_zoom_filter)

    def generator_losses(self, batch: Batch, step: int) -> tuple[Losses, Fakes]:
        """L1 against the truth where the mask is, the adversarial term, and feature matching.

        Raises:
            ValueError: the batch has no truth.
        """
        c = self.config
        truth = _truth(batch)
        made = self.networks["generator"](batch.content)
        losses: Losses = {"l1": c.l1_weight * masked_l1(made, truth, batch.mask_unit)}
        losses |= c.steadiness(self.networks["generator"], batch.content, step, made)
        if "discriminator" not in self.networks:
            return losses, {}
        # Outside the mask the discriminator sees the truth on both sides.
        shown = blend_by_mask(made, truth, batch.mask_unit)
        versions = [shown, truth] if c.feature_matching_weight > 0 else [shown]
        output, *real = self.adversary.discriminate_versions(self.networks["discriminator"], versions, batch.content)
        losses["adversarial"] = self.adversary.generator_loss(output)
        for real_output in real:
            distance = feature_matching(output.features, real_output.features)
            losses["feature_matching"] = c.feature_matching_weight * distance
        return losses, {"made": shown}

    def fakes(self, batch: Batch, step: int) -> Fakes:  # noqa: ARG002  # the contract's
        """See ``BaseRecipe``: the result alone, with the truth where the mask is 0."""
        if "discriminator" not in self.networks:
            return {}
        return {"made": blend_by_mask(self.networks["generator"](batch.content), _truth(batch), batch.mask_unit)}

    def discriminator_losses(self, batch: Batch, fakes: Fakes, step: int) -> Losses:
        """The losses on content with its truth, and on content with its translation.

        Raises:
            ValueError: the batch has no truth.
        """
        return self.adversary.discriminator_terms(
            self.networks["discriminator"],
            _truth(batch),
            fakes["made"],
            step,
            given_real=batch.content,
            given_fake=batch.content,
        )

    def translate(self, content: Tensor, conditions: Conditions) -> Tensor:
        """The translated picture, (N, 3, H, W), fp32; unchanged where the mask is 0."""
        return blend_by_mask(self.networks["generator"](content), content, conditions.mask_unit)


def _truth(batch: Batch) -> Tensor:
    if batch.style is None:
        raise ValueError("pix2pix requires pairs: the batch has no style that is aligned with the content")
    return batch.style
