"""Attribute editing: add or remove what a label names, and keep the rest.

He et al. 2019, AttGAN: Facial Attribute Editing by Only Changing What You Want (arXiv 1711.10678); Choi et al. 2018,
StarGAN (arXiv 1711.09020); Liu et al. 2019, STGAN (arXiv 1904.09709), whose generator receives changes instead of all
attributes. Changes to attributes that a picture already has are trained too, so that the source needs no labels.
"""

from __future__ import annotations

from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from stylegan_core.data.batch import Batch
from stylegan_core.losses.adversarial import Adversarial, generator_loss
from stylegan_core.losses.reconstruction import masked_l1
from stylegan_core.networks.attribute_discriminator import AttributeDiscriminator
from stylegan_core.networks.attribute_generator import AttributeGenerator, Norm
from stylegan_core.networks.blend import blend_by_mask
from stylegan_core.networks.patch_discriminator import DiscriminatorNorm
from stylegan_core.recipes.adversary import AdversarialRecipe, Adversary
from stylegan_core.recipes.base import (
    Conditions,
    Fakes,
    Kind,
    Losses,
    Needs,
    Presets,
)
from stylegan_core.recipes.steadiness import SteadinessConfig


class Config(SteadinessConfig):
    """Settings of ``attributes``; the defaults are StarGAN's and AttGAN's for CelebA, for a GPU and hours."""

    attributes: tuple[str, ...] = Field(
        ("smiling",),
        description="columns of prepare.labels to learn; crops are mirrored, so exclude attributes of left and right",
    )
    budget_steps: int = Field(200_000, ge=1, description="generator steps; a larger value continues a finished run")
    crop_px: int = Field(128, ge=16, description="side of the training crops: the whole picture if faces are aligned")
    batch_size: int = Field(16, ge=1)
    generator_lr: float = Field(1e-4, gt=0)
    discriminator_lr: float = Field(1e-4, gt=0)
    discriminator_steps: int = Field(5, ge=1, description="discriminator steps for each generator step")
    channels: int = Field(64, ge=4, description="channels of the generator's first layer")
    blocks: int = Field(6, ge=1, description="residual blocks")
    downsamplings: int = Field(2, ge=1, le=4, description="downsamplings by 2 before the residual blocks")
    norm: Norm = Field(
        "instance", description="normalization; none keeps brightness and contrast, and suits small sets"
    )
    flow_px: float = Field(
        8.0, ge=0.0, description="largest displacement of the source at strength 1; 0: change colours only"
    )
    discriminator_layers: int = Field(
        5, ge=1, le=5, description="strided layers; the window is 16, 34, 70 px for 1, 2, 3"
    )
    discriminator_norm: DiscriminatorNorm = "none"
    adversarial: Adversarial = "wasserstein"
    gradient_penalty_weight: float = Field(
        10.0,
        ge=0.0,
        description="weight of WGAN-GP's penalty on interpolates (Gulrajani et al. 2017), in addition to r1_gamma",
    )
    attribute_weight: float = Field(
        10.0, ge=0.0, description="weight of the attribute classification of edits, in the generator's loss"
    )
    real_attribute_weight: float = Field(
        1.0, gt=0.0, description="weight of the attribute classification of reals, in the discriminator's loss"
    )
    reconstruction_weight: float = Field(
        100.0, ge=0.0, description="weight of the L1 distance to a picture that already has the requested attributes"
    )
    keep_weight: float = Field(0.0, ge=0.0, description="weight of the L1 distance between an edit and its source")
    cycle_weight: float = Field(
        0.0, ge=0.0, description="weight of the L1 distance to the source after the reverse edit"
    )
    met_share: float = Field(
        0.2, ge=0.0, lt=1.0, description="share of training edits to attributes that a picture already has"
    )

    @model_validator(mode="after")
    def _attributes_are_named(self) -> Self:
        if not self.attributes or len(set(self.attributes)) < len(self.attributes) or not all(self.attributes):
            raise ValueError(f"attributes must be one name or more, each once: got {list(self.attributes)}")
        return self

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        self.check_crop(halvings=self.downsamplings, discriminator_layers=self.discriminator_layers)
        return self


class Recipe(AdversarialRecipe):
    """A generator that warps and recolours, and a discriminator with a head for the attributes."""

    kind: ClassVar[Kind] = Kind.TRANSLATE
    needs: ClassVar[Needs] = Needs(content=True, style=False)
    paper: ClassVar[str] = (
        "He et al. 2019, arXiv 1711.10678; Choi et al. 2018, arXiv 1711.09020; Liu et al. 2019, arXiv 1904.09709"
    )
    conditioned_on: ClassVar[tuple[str, ...]] = ("labels",)
    presets: ClassVar[Presets] = {
        "two_cores": {
            "budget_steps": 2400,
            "crop_px": 64,
            "generator_lr": 6e-4,
            "discriminator_lr": 1e-3,
            "lr_schedule": "cosine",
            "lr_decay_start_step": 1200,
            "lr_decay_end_step": 2400,
            "ema_decay": 0.995,
            "discriminator_steps": 1,
            "channels": 16,
            "blocks": 2,
            "norm": "none",
            "discriminator_channels": 16,
            "discriminator_layers": 4,
            "adversarial": "nonsaturating",
            "gradient_penalty_weight": 0.0,
            "r1_gamma": 0.5,
            "attribute_weight": 1.0,
            "reconstruction_weight": 5.0,
            "keep_weight": 1.0,
            "augmentation": "diffaugment",
        },
        "one_gpu": {
            "budget_steps": 60_000,
            "batch_size": 32,
            "generator_lr": 4e-4,
            "discriminator_lr": 4e-4,
            "discriminator_steps": 1,
            "norm": "none",
            "channels": 48,
            "adversarial": "nonsaturating",
            "gradient_penalty_weight": 0.0,
            "r1_gamma": 0.5,
            "attribute_weight": 1.0,
            "reconstruction_weight": 5.0,
            "keep_weight": 1.0,
            "augmentation": "ada",
        },
        "paper": {},
    }

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        count = len(config.attributes)
        self.networks["generator"] = AttributeGenerator(
            count,
            config.channels,
            config.blocks,
            downsamplings=config.downsamplings,
            norm=config.norm,
            flow_px=config.flow_px,
            anti_aliased=config.anti_aliased,
        )
        self.networks["discriminator"] = AttributeDiscriminator(config.build_discriminator(), count)
        self.adversary = Adversary(config)

    @classmethod
    def needs_with(cls, config: Config) -> Needs:  # type: ignore[override]
        """Pictures, and their labels in the order of ``config.attributes``."""
        return Needs(content=True, style=False, labels=config.attributes)

    def generator_losses(self, batch: Batch, step: int) -> tuple[Losses, Fakes]:
        """Adversarial, attribute and reconstruction terms of edits by random attribute changes.

        Raises:
            ValueError: the batch has no labels.
        """
        c = self.config
        content, labels = batch.content, _labels(batch)
        change, wanted = draw_changes(labels, c.met_share)
        edited = self.networks["generator"](content, change)
        discriminator = self.networks["discriminator"]
        output = self.adversary.discriminate(discriminator, edited)
        named: Tensor = discriminator.attributes(output)  # type: ignore[operator]
        met = (wanted == labels).all(dim=1).float().view(-1, 1, 1, 1)  # (N, 1, 1, 1)
        losses: Losses = {
            "adversarial": c.adversarial_weight * generator_loss(c.adversarial, output.logits),
            "attributes": c.attribute_weight * F.binary_cross_entropy_with_logits(named, wanted),
            "reconstruction": c.reconstruction_weight * masked_l1(edited * met, content * met),
        }
        if c.keep_weight > 0:
            losses["keep"] = c.keep_weight * masked_l1(edited, content)
        if c.cycle_weight > 0:
            undone = self.networks["generator"](edited, labels - wanted)
            losses["cycle"] = c.cycle_weight * masked_l1(undone, content)
        generator = self.networks["generator"]
        losses |= c.steadiness(lambda pictures: generator(pictures, change), content, step, edited)
        return losses, {"edited": edited}

    def fakes(self, batch: Batch, step: int) -> Fakes:  # noqa: ARG002  # the contract's
        """See ``BaseRecipe``: edits by random attribute changes, the same as those of ``generator_losses``."""
        change, _ = draw_changes(_labels(batch), self.config.met_share)
        return {"edited": self.networks["generator"](batch.content, change)}

    def discriminator_losses(self, batch: Batch, fakes: Fakes, step: int) -> Losses:
        """Adversarial terms of pictures and edits, and the classification of the pictures' own labels.

        Raises:
            ValueError: the batch has no labels.
        """
        discriminator = self.networks["discriminator"]
        losses, real = self.adversary.terms_and_reals(discriminator, batch.content, fakes["edited"], step)
        named: Tensor = discriminator.attributes(real)  # type: ignore[operator]
        read = F.binary_cross_entropy_with_logits(named, _labels(batch))
        losses["attributes"] = self.config.real_attribute_weight * read
        return losses

    def translate(self, content: Tensor, conditions: Conditions) -> Tensor:
        """The edited picture, (N, 3, H, W), fp32; unchanged where the mask is 0, and without labels.

        Raises:
            ValueError: ``conditions.labels`` is not (N, L).
        """
        shape = (content.shape[0], len(self.config.attributes))
        labels = content.new_zeros(shape) if conditions.labels is None else conditions.labels
        if labels.shape != shape:
            raise ValueError(
                f"labels must have the shape {shape}, a row for each picture, for {', '.join(self.config.attributes)}: "
                f"got {tuple(labels.shape)}"
            )
        edited = self.networks["generator"](content, conditions.strength * labels)
        return blend_by_mask(edited, content.float(), conditions.mask_unit)


def draw_changes(labels: Tensor, met_share: float) -> tuple[Tensor, Tensor]:
    """Random changes of one attribute or more for each picture, by torch's global generator.

    Args:
        labels: (N, L) in {0, 1}.
        met_share: share of changes to attributes that the picture already has.
    Returns:
        The changes (N, L) in {-1, 0, 1}, and the labels (N, L) in {0, 1} after them.
    """
    count = labels.shape[1]
    # Drawn on the CPU: the same on every device, and part of the checkpoint.
    mentioned = torch.rand(labels.shape) < 0.5
    mentioned[torch.arange(len(labels)), torch.randint(count, (len(labels),))] = True
    opposite = torch.rand(labels.shape) >= met_share
    mentioned, opposite = mentioned.to(labels.device), opposite.to(labels.device)
    wanted = torch.where(mentioned & opposite, 1 - labels, labels)
    return torch.where(mentioned, 2 * wanted - 1, torch.zeros_like(labels)), wanted


def _labels(batch: Batch) -> Tensor:
    if batch.labels is None:
        raise ValueError("attributes requires labelled pictures: set prepare.labels to a CSV file")
    return batch.labels.float()
