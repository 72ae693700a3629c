"""Unpaired translation in minutes: content by trained features, style by a projected discriminator.

Chen et al. 2018, CartoonGAN: Generative Adversarial Networks for Photo Cartoonization, hold the content by features of
a trained network, with one generator and without cycles; Chen et al. 2019 (AnimeGAN) too. Unlike them, features are
compared after instance normalization, and the discriminator sees trained features as well as pixels (Sauer et al. 2021,
Projected GANs Converge Faster, arXiv 2111.01007), so that training takes minutes instead of hours.
A term of identity on style pictures, after Taigman et al. 2016 (arXiv 1611.02200), keeps colours that the style has.
The generator also sees waves of the colours (``networks.layers.fourier_features``), from which it makes strokes.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from stylegan_core.choices import ExtractorName
from stylegan_core.data.batch import Batch
from stylegan_core.features.extractors import LAYERS, load_extractor
from stylegan_core.losses.adversarial import Adversarial
from stylegan_core.losses.perceptual import normalized_distance
from stylegan_core.networks.blend import blend_by_mask
from stylegan_core.networks.discriminators import Layout
from stylegan_core.networks.patch_discriminator import DiscriminatorNorm
from stylegan_core.networks.resnet import Norm, Output
from stylegan_core.recipes.adversary import AdversarialRecipe, Adversary
from stylegan_core.recipes.base import BeforeItExisted, Conditions, Fakes, Kind, Losses, Needs, Presets
from stylegan_core.recipes.translator import TranslatorConfig

_LUMINANCE_PX = 16
"""Side of the cells whose mean luminance the result should keep."""


class Config(TranslatorConfig):
    """Settings of ``unpaired``; the defaults are for a GPU."""

    budget_steps: int = Field(10_000, ge=1, description="generator steps; change lr_decay_end_step too")
    crop_px: int = Field(256, ge=16, description="side of the training crops")
    batch_size: int = Field(8, ge=1)
    generator_lr: float = Field(4e-4, gt=0)
    discriminator_lr: float = Field(4e-4, gt=0)
    beta1: float = Field(0.0, ge=0.0, lt=1.0)
    beta2: float = Field(0.99, ge=0.0, lt=1.0)
    lr_schedule: Literal["constant", "linear", "cosine"] = "cosine"
    lr_decay_start_step: int = Field(5_000, ge=0)
    lr_decay_end_step: int = Field(10_000, ge=1)
    ema_decay: float = Field(0.998, ge=0.0, lt=1.0, description="decay of the generator's moving average, per step")
    channels: int = Field(32, ge=4, description="channels of the generator's first layer")
    blocks: int = Field(6, ge=1, description="residual blocks of a resnet")
    norm: Norm = Field("none", description="normalization; none makes tiles exact and keeps unseen colours")
    output: Output = Field("residual", description="residual starts at the identity, for norm none")
    skips: bool = Field(True, description="add encoder features to the decoder's: sharper edges")
    fourier_features: Annotated[int, BeforeItExisted(0)] = Field(
        8,
        ge=0,
        le=64,
        description="waves of the smoothed colours that a resnet sees beside the picture: strokes in even areas",
    )
    discriminator_layout: Layout = Field(
        "projected", description="heads on trained features (efficientnet_lite0), or a layout of pixels alone"
    )
    projected_mixes_scales: bool = Field(
        False, description="with projected: coarse features are mixed into finer ones; false gives texture more weight"
    )
    discriminator_channels: int = Field(32, ge=4)
    discriminator_layers: int = Field(
        2, ge=1, le=5, description="strided layers; the window is 16, 34, 70 px for 1, 2, 3"
    )
    discriminator_norm: DiscriminatorNorm = "spectral"
    adversarial: Adversarial = "hinge"
    augmentation: Literal["none", "mild", "diffaugment", "ada"] = Field(
        "mild", description="augments discriminator inputs; mild: little colour, mirrored borders, no cutout"
    )
    augment_below_pictures: int = Field(100_000, ge=0, description="no augmentation of larger sets")
    extractor: ExtractorName = Field(
        "efficientnet_lite0", description="features that hold the content; not those of the evaluation"
    )
    content_layers: tuple[str, ...] = Field(
        ("stride4", "stride8", "stride16"), description="layers of the content; `stylereel features` shows each"
    )
    content_weight: float = Field(0.08, ge=0.0, description="weight of the distance to the content's features")
    luminance_weight: float = Field(
        0.4, ge=0.0, description=f"weight of the change of luminance, in cells of {_LUMINANCE_PX} px"
    )
    identity_weight: float = Field(
        0.0,
        ge=0.0,
        description="weight of L1 between style pictures and their results: 3 keeps colours that fade, and paints less",
    )

    @model_validator(mode="after")
    def _layers_exist(self) -> Self:
        known = LAYERS[self.extractor]
        if not self.content_layers or set(self.content_layers) - set(known):
            given = ", ".join(self.content_layers) or "none"
            raise ValueError(f"content_layers of {self.extractor} must be some of {', '.join(known)}; got {given}")
        return self

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        self.check_crop(halvings=self.downsamplings, discriminator_layers=self.discriminator_layers)
        return self

    def extractors(self) -> tuple[ExtractorName, ...]:
        """See ``RecipeConfig``."""
        return (*super().extractors(), *((self.extractor,) if self.content_weight > 0 else ()))


class Recipe(AdversarialRecipe):
    """A generator, and a discriminator of style pictures and results."""

    kind: ClassVar[Kind] = Kind.TRANSLATE
    needs: ClassVar[Needs] = Needs(content=True, style=True, paired=False)
    paper: ClassVar[str] = "Chen et al. 2018, CartoonGAN; Sauer et al. 2021, arXiv 2111.01007"
    presets: ClassVar[Presets] = {
        "two_cores": {
            "budget_steps": 1_200,
            "lr_decay_start_step": 600,
            "lr_decay_end_step": 1_200,
            "crop_px": 128,
            "batch_size": 4,
            "channels": 24,
            "blocks": 4,
        },
        "one_gpu": {},
    }

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        generator = config.build_generator(skips=config.skips)
        self.networks["generator"] = generator
        self.networks["discriminator"] = config.build_discriminator_for(generator)
        self.adversary = Adversary(config)

    def fakes(self, batch: Batch, step: int) -> Fakes:  # noqa: ARG002  # the same in every step
        """Results alone, for extra discriminator steps."""
        return {"translated": self.networks["generator"](batch.content)}

    def generator_losses(self, batch: Batch, step: int) -> tuple[Losses, Fakes]:
        """The adversarial term, distance to the content's features, change of luminance, and identity on style.

        Raises:
            ValueError: the batch has no style, and ``identity_weight`` is not 0.
        """
        c, content = self.config, batch.content
        # Half of the style pictures: the identity term needs no more, and each takes a pass of the generator.
        style = _style(batch) if c.identity_weight > 0 else content[:0]
        style = style[: (len(style) + 1) // 2]
        fake, same = self.networks["generator"](torch.cat([content, style])).split([len(content), len(style)])
        losses: Losses = {"adversarial": self.adversary.generator_term(self.networks["discriminator"], fake)}
        if c.content_weight > 0:
            losses["content"] = c.content_weight * self._content_distance(fake, content)
        if c.luminance_weight > 0:
            losses["luminance"] = c.luminance_weight * (_luminance(fake) - _luminance(content)).abs().mean()
        if c.identity_weight > 0:
            losses["identity"] = c.identity_weight * F.l1_loss(same, style)
        losses |= c.steadiness(self.networks["generator"], content, step, fake)
        return losses, {"translated": fake}

    def discriminator_losses(self, batch: Batch, fakes: Fakes, step: int) -> Losses:
        """The losses on style pictures and results.

        Raises:
            ValueError: the batch has no style.
        """
        return self.adversary.discriminator_terms(
            self.networks["discriminator"], _style(batch), fakes["translated"], step
        )

    def translate(self, content: Tensor, conditions: Conditions) -> Tensor:
        """The translated picture, (N, 3, H, W), fp32; unchanged where the mask is 0."""
        return blend_by_mask(self.networks["generator"](content), content, conditions.mask_unit)

    def _content_distance(self, fake: Tensor, content: Tensor) -> Tensor:
        layers = self.config.content_layers
        extractor = load_extractor(self.config.extractor, None, content.device)
        made = extractor(fake, layers)
        with torch.no_grad():
            kept = extractor(content, layers)
        return torch.stack([normalized_distance(made[layer], kept[layer]) for layer in layers]).sum()


def _style(batch: Batch) -> Tensor:
    if batch.style is None:
        raise ValueError("unpaired requires style pictures: the batch has none")
    return batch.style


def _luminance(pictures: Tensor) -> Tensor:
    """Mean of the channels in cells, as in the working space; smaller cells where a crop is smaller."""
    return F.avg_pool2d(pictures.float().mean(dim=1, keepdim=True), min(_LUMINANCE_PX, *pictures.shape[-2:]))
