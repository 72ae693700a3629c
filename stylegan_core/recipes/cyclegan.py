"""Unpaired translation in both directions, each the inverse of the other: CycleGAN.

Zhu et al. 2017, Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks (arXiv 1703.10593).
"""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from stylegan_core.data.batch import Batch
from stylegan_core.losses.reconstruction import masked_l1
from stylegan_core.networks.blend import blend_by_mask
from stylegan_core.networks.replay_pool import ReplayPool
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
from stylegan_core.recipes.weak_supervision import WeakSupervisionConfig, known_distance


class Config(WeakSupervisionConfig):
    """Settings of ``cyclegan``; the defaults are the paper's, for a GPU and hours."""

    budget_steps: int = Field(240_000, ge=1, description="generator steps; change lr_decay_end_step too")
    crop_px: int = Field(256, ge=16, description="side of the training crops")
    batch_size: int = Field(1, ge=1)
    lr_schedule: Literal["constant", "linear", "cosine"] = "linear"
    lr_decay_start_step: int = Field(120_000, ge=0)
    lr_decay_end_step: int = Field(240_000, ge=1)
    cycle_weight: float = Field(10.0, ge=0.0, description="weight of the L1 cycle loss")
    identity_share: float = Field(
        0.5, ge=0.0, description="weight of the L1 identity loss, as a factor of cycle_weight"
    )
    replay_pictures: int = Field(
        50, ge=0, description="size of the pool of earlier fakes for the discriminators; 0: off"
    )

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        self.check_crop(halvings=self.downsamplings, discriminator_layers=self.discriminator_layers)
        return self


class Recipe(AdversarialRecipe):
    """A generator and a discriminator for each direction; each discriminator is named after its domain."""

    kind: ClassVar[Kind] = Kind.TRANSLATE
    needs: ClassVar[Needs] = Needs(content=True, style=True, paired=False)
    paper: ClassVar[str] = "Zhu et al. 2017, arXiv 1703.10593"
    inference_networks: ClassVar[tuple[str, ...]] = ("forward_generator", "backward_generator")
    conditioned_on: ClassVar[tuple[str, ...]] = ("direction",)
    presets: ClassVar[Presets] = {
        "two_cores": {
            "cycle_weight": 5.0,
            "identity_share": 0.0,
            "budget_steps": 1_200,
            "lr_schedule": "cosine",
            "lr_decay_start_step": 600,
            "lr_decay_end_step": 1_200,
            "crop_px": 128,
            "batch_size": 2,
            "generator_lr": 4e-4,
            "discriminator_lr": 4e-4,
            "beta1": 0.0,
            "beta2": 0.99,
            "ema_decay": 0.998,
            "channels": 24,
            "blocks": 3,
            "downsamplings": 1,
            "norm": "none",
            "output": "residual",
            # Without trained features, the result of minutes is the photograph itself.
            "discriminator_layout": "projected",
            "projected_mixes_scales": False,
            "discriminator_channels": 24,
            "discriminator_layers": 2,
            "discriminator_norm": "spectral",
            "adversarial": "hinge",
            "augmentation": "mild",
        },
        "one_gpu": {
            "budget_steps": 20_000,
            "batch_size": 4,
            "lr_decay_start_step": 10_000,
            "lr_decay_end_step": 20_000,
        },
        "paper": {},
    }

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        forward, backward = config.build_generator(), config.build_generator()
        self.networks["forward_generator"], self.networks["backward_generator"] = forward, backward
        self.networks["style_discriminator"] = config.build_discriminator_for(forward)
        self.networks["content_discriminator"] = config.build_discriminator_for(backward)
        self.style_adversary, self.content_adversary = Adversary(config), Adversary(config)
        self.style_pool = ReplayPool(config.replay_pictures, config.crop_px)
        self.content_pool = ReplayPool(config.replay_pictures, config.crop_px)

    @classmethod
    def needs_with(cls, config: RecipeConfig) -> Needs:
        """Known pairs, if they are on."""
        assert isinstance(config, Config)
        return config.supervised(cls.needs)

    def generator_losses(self, batch: Batch, step: int) -> tuple[Losses, Fakes]:
        """Adversarial, cycle and identity terms of both directions, and known pairs if there are any.

        Raises:
            ValueError: the batch has no style.
        """
        c, networks = self.config, self.networks
        content, style = batch.content, _style(batch)
        forward, backward = networks["forward_generator"], networks["backward_generator"]
        if c.cycle_weight * c.identity_share > 0:
            # The identity term is computed in the same calls as the translations: half of the calls.
            fake_style, same_style = forward(torch.cat([content, style])).split([len(content), len(style)])
            fake_content, same_content = backward(torch.cat([style, content])).split([len(style), len(content)])
            identity = masked_l1(same_style, style) + masked_l1(same_content, content)
        else:
            fake_style, fake_content, identity = forward(content), backward(style), None
        losses: Losses = {
            "adversarial_style": self.style_adversary.generator_term(networks["style_discriminator"], fake_style),
            "adversarial_content": self.content_adversary.generator_term(
                networks["content_discriminator"], fake_content
            ),
        }
        if c.cycle_weight > 0:
            losses["cycle_content"] = c.cycle_weight * masked_l1(backward(fake_style), content)
            losses["cycle_style"] = c.cycle_weight * masked_l1(forward(fake_content), style)
        if identity is not None:
            losses["identity"] = c.cycle_weight * c.identity_share * identity
        losses = c.mixed_objective(losses, known_distance(batch, forward, backward))
        losses |= c.steadiness(forward, content, step, fake_style)
        losses |= {f"{n}_backward": v for n, v in c.steadiness(backward, style, step, fake_content).items()}
        return losses, {"style": fake_style, "content": fake_content}

    def fakes(self, batch: Batch, step: int) -> Fakes:  # noqa: ARG002  # the contract's
        """See ``BaseRecipe``: both translations alone, without cycles and identities."""
        forward, backward = self.networks["forward_generator"], self.networks["backward_generator"]
        return {"style": forward(batch.content), "content": backward(_style(batch))}

    def discriminator_losses(self, batch: Batch, fakes: Fakes, step: int) -> Losses:
        """The losses on both domains and their fakes, of this step and from the pools, and the penalties.

        Raises:
            ValueError: the batch has no style.
        """
        style_fake, content_fake = (
            self.style_pool.exchange(fakes["style"]),
            self.content_pool.exchange(fakes["content"]),
        )
        style, content = self.networks["style_discriminator"], self.networks["content_discriminator"]
        return self.style_adversary.discriminator_terms(
            style, _style(batch), style_fake, step, name="style_discriminator"
        ) | self.content_adversary.discriminator_terms(
            content, batch.content, content_fake, step, name="content_discriminator"
        )

    def translate(self, content: Tensor, conditions: Conditions) -> Tensor:
        """The picture in the other domain, (N, 3, H, W), fp32; unchanged where the mask is 0.

        ``conditions.direction`` "backward" translates style pictures to the content domain.
        """
        name = "forward_generator" if conditions.direction == "forward" else "backward_generator"
        return blend_by_mask(self.networks[name](content), content, conditions.mask_unit)


def _style(batch: Batch) -> Tensor:
    if batch.style is None:
        raise ValueError("cyclegan requires style pictures: the batch has none")
    return batch.style
