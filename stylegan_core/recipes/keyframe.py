"""Few-shot patch-based paired translation from painted key frames.

Texler et al. 2020, Interactive Video Stylization Using Few-Shot Patch-Based Training (arXiv 2004.14489), in the
setting of Isola et al. 2017, Image-to-Image Translation with Conditional Adversarial Networks (arXiv 1611.07004).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from stylegan_core.data.batch import Batch
from stylegan_core.losses.reconstruction import masked_l1
from stylegan_core.losses.style import feature_matching, sliced_patch_distance, zero_mean_directions
from stylegan_core.networks.blend import blend_by_mask
from stylegan_core.networks.discriminators import DiscriminatorOutput
from stylegan_core.networks.guide import GUIDED_CHANNELS, PICTURE_CHANNELS, towards_guide, with_guide
from stylegan_core.networks.patch_discriminator import DiscriminatorNorm
from stylegan_core.networks.resnet import Norm, Output, Padding, ResnetGenerator
from stylegan_core.recipes.adversary import AdversarialRecipe, Adversary
from stylegan_core.recipes.base import (
    BeforeItExisted,
    Conditions,
    Fakes,
    Kind,
    Losses,
    Needs,
    Phase,
    Presets,
    RecipeConfig,
)
from stylegan_core.recipes.guide_variation import vary_guide
from stylegan_core.recipes.steadiness import SteadinessConfig


class Config(SteadinessConfig):
    """Settings of ``keyframe``."""

    budget_steps: int = Field(3000, ge=1, description="generator steps; change lr_decay_end_step too")
    generator_lr: float = Field(4e-4, gt=0)
    discriminator_lr: float = Field(4e-4, gt=0)
    lr_schedule: Literal["constant", "linear", "cosine"] = "cosine"
    lr_decay_start_step: int = Field(1500, ge=0)
    lr_decay_end_step: int = Field(3000, ge=1)
    channels: int = Field(16, ge=4, description="channels of the generator's first layer")
    blocks: int = Field(3, ge=1, description="residual blocks")
    downsamplings: int = Field(1, ge=0, le=4, description="downsamplings by 2 before the residual blocks")
    norm: Norm = Field(
        "none", description="normalization; none keeps tiles exact and colours unchanged; instance is the paper's"
    )
    padding: Padding = Field("reflect", description="padding of convolutions")
    output: Output = Field(
        "residual", description="residual: a change that is added to the content; tanh: the picture itself"
    )
    skips: bool = Field(True, description="add encoder features to the decoder's")
    half_resolution: bool = Field(False, description="run the whole network on 2 x 2 px cells: a quarter of the cost")
    guide: Annotated[bool, BeforeItExisted(False)] = Field(
        True, description="a further input: painted key frames, warped along the motion or found by appearance"
    )
    guide_share: Annotated[float, BeforeItExisted(0.0)] = Field(
        0.8,
        ge=0.0,
        le=1.0,
        description="share of the guide in a result where it is certain; the rest is what the network makes of it",
    )
    own_guide_share: float = Field(
        0.5, ge=0.0, le=1.0, description="share of crops that are guided by their own painting, with holes"
    )
    no_guide_share: float = Field(0.1, ge=0.0, le=1.0, description="share of crops without a guide")
    mirrored_crops: bool = Field(False, description="mirror half of the crops; hatching and lettering become ambiguous")
    stem_px: int = Field(7, ge=1, description="side of the first kernel, odd")
    mixing_taps: int = Field(
        5, ge=0, le=15, description="kernel prediction: side of the grid of neighbours to mix colours from, odd; 0: off"
    )
    mixing_step_px: int = Field(2, ge=1, description="distance between those neighbours")
    discriminator_channels: int = Field(32, ge=4)
    discriminator_layers: int = Field(
        2, ge=1, le=5, description="strided layers; the window is 16, 34, 70 px for 1, 2, 3"
    )
    discriminator_norm: DiscriminatorNorm = "spectral"
    adversarial_weight: float = Field(
        6.0, ge=0.0, description="weight of the adversarial loss; 0: L1-only baseline without a discriminator"
    )
    l1_weight: float = Field(5.0, ge=0.0)
    unpainted_weight: float = Field(
        0.0,
        ge=0.0,
        description="weight of the adversarial loss on unpainted content, as a factor of adversarial_weight",
    )
    unpainted_judge: Literal["conditional", "unconditional"] = Field(
        "unconditional",
        description="discriminator of unpainted content; unconditional: separate, without the content",
    )
    feature_matching_weight: float = Field(
        0.0, ge=0.0, description="weight of the distance between the discriminator's features of result and style"
    )
    texture_weight: float = Field(
        0.0,
        ge=0.0,
        description="weight of the sliced Wasserstein distance between zero-mean patches of results and style",
    )
    warmup_steps: int = Field(0, ge=0, description="first steps with L1 only")

    @model_validator(mode="after")
    def _mixing_fits(self) -> Self:
        if self.mixing_taps and (self.mixing_taps % 2 == 0 or self.mixing_taps < 3):
            raise ValueError(f"mixing_taps must be 0, or odd and at least 3: got {self.mixing_taps}")
        if self.mixing_taps and self.half_resolution:
            raise ValueError("mixing_taps requires full resolution: set mixing_taps to 0, or half_resolution to false")
        return self

    @model_validator(mode="after")
    def _guide_fits(self) -> Self:
        if self.own_guide_share + self.no_guide_share > 1:
            raise ValueError("own_guide_share and no_guide_share are shares of the same crops: lower one of them")
        return self

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.stem_px % 2 == 0:
            raise ValueError(f"stem_px must be odd: got {self.stem_px}")
        shrunk = 2 if self.half_resolution else 1
        if self.stem_px // 2 >= self.crop_px // shrunk:
            raise ValueError(f"stem_px is {self.stem_px}, too wide for crop_px {self.crop_px}")
        self.check_crop(
            halvings=self.downsamplings + shrunk - 1,
            discriminator_layers=self.discriminator_layers if self.adversarial_weight > 0 else 0,
        )
        return self


class Recipe(AdversarialRecipe):
    """A residual generator and a discriminator of content and style together."""

    kind: ClassVar[Kind] = Kind.TRANSLATE
    needs: ClassVar[Needs] = Needs(content=True, style=True, paired=True, unpainted=True)
    paper: ClassVar[str] = "Texler et al. 2020, arXiv 2004.14489; Isola et al. 2017, arXiv 1611.07004"
    presets: ClassVar[Presets] = {
        "two_cores": {},
        "one_gpu": {
            "budget_steps": 20_000,
            "crop_px": 128,
            "batch_size": 16,
            "lr_decay_start_step": 10_000,
            "lr_decay_end_step": 20_000,
            "channels": 32,
            "blocks": 6,
            "discriminator_channels": 64,
        },
        # Without the paper's term on VGG's features.
        "paper": {
            "budget_steps": 50_000,
            "crop_px": 32,
            "batch_size": 40,
            "beta1": 0.9,
            "lr_schedule": "constant",
            "channels": 32,
            "blocks": 7,
            "downsamplings": 2,
            "norm": "instance",
            "output": "tanh",
            "guide": False,
            "mirrored_crops": True,
            "mixing_taps": 0,
            "discriminator_channels": 12,
            "discriminator_norm": "instance",
            "adversarial_weight": 0.5,
            "l1_weight": 4.0,
        },
    }

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        # The generator is first, so that its initial weights do not depend on the discriminator.
        self.networks["generator"] = ResnetGenerator(
            config.channels,
            config.blocks,
            downsamplings=config.downsamplings,
            norm=config.norm,
            padding=config.padding,
            anti_aliased=config.anti_aliased,
            output=config.output,
            skips=config.skips,
            unshuffle=2 if config.half_resolution else 1,
            stem_px=config.stem_px,
            last_px=3,
            tail=True,
            mixing_taps=config.mixing_taps,
            mixing_step_px=config.mixing_step_px,
            in_channels=GUIDED_CHANNELS if config.guide else PICTURE_CHANNELS,
        )
        self._discriminates_unpainted = config.adversarial_weight > 0 and config.unpainted_weight > 0
        self.adversary = Adversary(config)
        if config.adversarial_weight > 0:
            self.networks["discriminator"] = config.build_discriminator(6)
        if self._discriminates_unpainted and config.unpainted_judge == "unconditional":
            self.networks["style_discriminator"] = config.build_discriminator()

    @property
    def guided(self) -> bool:
        """By the setting ``guide``."""
        return self.config.guide

    @classmethod
    def needs_with(cls, config: RecipeConfig) -> Needs:
        """Unpainted crops only where the discriminator sees them; guides and mirrored crops by the settings."""
        assert isinstance(config, Config)
        unpainted = config.adversarial_weight > 0 and config.unpainted_weight > 0
        return replace(cls.needs, unpainted=unpainted, mirror=config.mirrored_crops, guided=config.guide)

    def phases(self) -> list[Phase]:
        """An L1 warm-up if there is one, then the GAN."""
        (main,) = super().phases()
        if main.discriminator and self.config.warmup_steps:
            return [Phase("warm-up", self.config.warmup_steps, main.generator), main]
        return [main]

    def generator_losses(self, batch: Batch, step: int) -> tuple[Losses, Fakes]:
        """L1 against the style, and the adversarial terms.

        Raises:
            ValueError: the batch has no style.
        """
        c = self.config
        style = _style(batch)
        adversarial = c.adversarial_weight > 0 and step >= c.warmup_steps
        unpainted = batch.unpainted if self._discriminates_unpainted and adversarial else None
        content = self._varied_guide(batch, style)
        if unpainted is not None:
            content = torch.cat([content, self._guided(unpainted, batch.unpainted_guide)])
        made = self.networks["generator"](content)  # crops that have a style first, then the unpainted
        stylized = made[: len(style)]
        losses: Losses = {"l1": c.l1_weight * masked_l1(stylized, style, batch.mask_unit)}
        # Outside the mask both show the same pixels, so that the discriminator cannot use them.
        shown = blend_by_mask(stylized, style, batch.mask_unit)
        if c.texture_weight > 0:
            losses["texture"] = c.texture_weight * _texture_distance(shown, style)
        losses |= c.steadiness(self.networks["generator"], batch.content, step, stylized)
        if not adversarial:
            return losses, {}
        fakes: Fakes = {"stylized": shown}
        versions = [shown, style] if c.feature_matching_weight > 0 else [shown]
        output, *real = self.adversary.discriminate_versions(self.networks["discriminator"], versions, batch.content)
        losses["adversarial"] = self.adversary.generator_loss(output)
        if real:
            losses["feature_matching"] = c.feature_matching_weight * feature_matching(output.features, real[0].features)
        if unpainted is not None:
            fakes["unpainted"] = made[len(style) :]
            output = self._discriminate_unpainted(unpainted, fakes["unpainted"])
            losses["adversarial_unpainted"] = c.unpainted_weight * self.adversary.generator_loss(output)
        return losses, fakes

    def discriminator_losses(self, batch: Batch, fakes: Fakes, step: int) -> Losses:
        """The losses of each discriminator, with the penalties that are on.

        Raises:
            ValueError: the batch has no style.
        """
        style = _style(batch)
        given, fake_parts = [batch.content], [fakes["stylized"]]
        unpainted = batch.unpainted if "unpainted" in fakes else None
        conditional = self.config.unpainted_judge == "conditional"
        if conditional and unpainted is not None:
            given.append(unpainted)
            fake_parts.append(fakes["unpainted"])
        discriminator, fake = self.networks["discriminator"], torch.cat(fake_parts)
        losses = self.adversary.discriminator_terms(
            discriminator, style, fake, step, given_real=batch.content, given_fake=torch.cat(given)
        )
        if not conditional and unpainted is not None:
            losses |= self.adversary.discriminator_terms(
                self.networks["style_discriminator"], style, fakes["unpainted"], step, name="style_discriminator"
            )
        return losses

    def translate(self, content: Tensor, conditions: Conditions) -> Tensor:
        """The stylized picture, (N, 3, H, W), fp32; unchanged where the mask is 0."""
        made = towards_guide(self.networks["generator"](content), content, self.config.guide_share)
        return blend_by_mask(made, content[:, :3], conditions.mask_unit)

    def _varied_guide(self, batch: Batch, style: Tensor) -> Tensor:
        """The generator's input, (N, 7, H, W), or (N, 3, H, W) without the setting."""
        if not self.config.guide:
            return batch.content
        guide = with_guide(batch.content)[:, PICTURE_CHANNELS:] if batch.guide is None else batch.guide
        varied = vary_guide(guide, style, own_share=self.config.own_guide_share, none_share=self.config.no_guide_share)
        return torch.cat([batch.content, varied], dim=1)

    def _guided(self, content: Tensor, guide: Tensor | None) -> Tensor:
        if not self.config.guide:
            return content
        return with_guide(content) if guide is None else torch.cat([content, guide], dim=1)

    def _discriminate_unpainted(self, content: Tensor, stylized: Tensor) -> DiscriminatorOutput:
        if self.config.unpainted_judge == "conditional":
            return self.adversary.discriminate(self.networks["discriminator"], stylized, content)
        return self.adversary.discriminate(self.networks["style_discriminator"], stylized)


def _style(batch: Batch) -> Tensor:
    if batch.style is None:
        raise ValueError("keyframe requires style that is aligned with the content: the batch has no style")
    return batch.style


def _texture_distance(made: Tensor, style: Tensor) -> Tensor:
    """Sliced distance at one random patch size and scale in each step: over many steps, all of them."""
    size_px = (3, 5, 7)[int(torch.randint(3, ()))]
    scale = (1, 2)[int(torch.randint(2, ()))]
    directions = zero_mean_directions(size_px, 16, made.device)
    return sliced_patch_distance(F.avg_pool2d(made.float(), scale), F.avg_pool2d(style.float(), scale), directions)
