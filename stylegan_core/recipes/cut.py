"""Unpaired translation by contrastive learning of patches, CUT and FastCUT.

Park et al. 2020, Contrastive Learning for Unpaired Image-to-Image Translation (arXiv 2007.15651).
"""

from __future__ import annotations

from typing import ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from stylegan_core.data.batch import Batch
from stylegan_core.losses.adversarial import Adversarial, discriminator_loss, generator_loss
from stylegan_core.losses.contrastive import patch_nce, sample_positions
from stylegan_core.losses.regularization import r1_penalty
from stylegan_core.networks.blend import blend_by_mask
from stylegan_core.networks.patch_discriminator import DiscriminatorNorm, PatchDiscriminator
from stylegan_core.networks.patch_projection import PatchProjection
from stylegan_core.networks.resnet import Norm, Output, Padding, ResnetGenerator
from stylegan_core.recipes.base import (
    BaseRecipe,
    Conditions,
    Fakes,
    Kind,
    Losses,
    Needs,
    ParameterGroup,
    Phase,
    RecipeConfig,
)


class Config(RecipeConfig):
    """Settings of ``cut``; the defaults are the paper's, for a GPU and hours."""

    budget_steps: int = Field(100_000, ge=1, description="generator steps; raising it continues a finished run")
    crop_px: int = Field(256, ge=16, description="side of the training crops")
    batch_size: int = Field(1, ge=1)
    fast: bool = Field(False, description="FastCUT: nce_weight 10, no identity term, less work and memory")
    nce_weight: float | None = Field(None, ge=0.0, description="default: 1, or 10 with fast")
    identity_nce_weight: float | None = Field(None, ge=0.0, description="PatchNCE on style; default: 1, or 0 with fast")
    nce_patches: int = Field(256, ge=2, description="patches a picture and stage")
    nce_temperature: float = Field(0.07, gt=0)
    nce_stages: tuple[int, ...] | None = Field(
        None,
        description="generator stages compared: 0 is the pixels, 1 the first layer, then downsamplings, then blocks; "
        "default: pixels, downsamplings, the first and the middle block",
    )
    projection_width: int = Field(256, ge=1)
    channels: int = Field(64, ge=4, description="of the generator's first layer")
    blocks: int = Field(9, ge=1, description="residual blocks")
    downsamplings: int = Field(2, ge=0, le=4)
    norm: Norm = Field("instance", description="none makes tiles exact and keeps colours of unlike pictures")
    output: Output = Field("tanh", description="residual starts at the identity; for norm none")
    padding: Padding = "reflect"
    discriminator_channels: int = Field(64, ge=4)
    discriminator_layers: int = Field(3, ge=1, le=5, description="its window is 16, 34, 70 px for 1, 2, 3")
    discriminator_norm: DiscriminatorNorm = "instance"
    adversarial: Adversarial = "least_squares"
    adversarial_weight: float = Field(1.0, gt=0.0)

    @model_validator(mode="after")
    def _stages_exist(self) -> Self:
        last = 1 + self.downsamplings + self.blocks
        wrong = [stage for stage in self.stages() if not 0 <= stage <= last]
        if wrong or not self.stages():
            raise ValueError(f"nce_stages must be some of 0 to {last}, got {self.nce_stages}")
        return self

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        self.check_crop(halvings=self.downsamplings, discriminator_layers=self.discriminator_layers)
        return self

    def stages(self) -> tuple[int, ...]:
        """The generator stages compared, given or by default."""
        if self.nce_stages is not None:
            return self.nce_stages
        first_block = 2 + self.downsamplings
        middle = first_block + self.blocks // 2
        return (0, *range(2, first_block), *sorted({first_block, middle}))

    def weights(self) -> tuple[float, float]:
        """Weights of PatchNCE on content and on style, given or by ``fast``."""
        content = self.nce_weight if self.nce_weight is not None else (10.0 if self.fast else 1.0)
        identity = self.identity_nce_weight if self.identity_nce_weight is not None else (0.0 if self.fast else 1.0)
        return content, identity


class Recipe(BaseRecipe):
    """A generator, a patch discriminator, and projection heads on the generator's own encoder."""

    kind: ClassVar[Kind] = Kind.TRANSLATE
    needs: ClassVar[Needs] = Needs(content=True, style=True, paired=False)
    paper: ClassVar[str] = "Park et al. 2020, arXiv 2007.15651"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.config = config
        generator = ResnetGenerator(
            config.channels,
            config.blocks,
            downsamplings=config.downsamplings,
            norm=config.norm,
            padding=config.padding,
            output=config.output,
            skips=False,  # content must pass through the encoder, whose features are compared
        )
        self.networks["generator"] = generator
        self.networks["heads"] = PatchProjection(
            [generator.stage_channels[stage] for stage in config.stages()], config.projection_width
        )
        self.networks["discriminator"] = PatchDiscriminator(
            3, config.discriminator_channels, config.discriminator_layers, config.discriminator_norm
        )

    def phases(self) -> list[Phase]:
        """One phase: the heads are trained with the generator."""
        c = self.config
        betas = (c.beta1, c.beta2)
        return [
            Phase(
                "gan",
                None,
                (ParameterGroup(("generator", "heads"), c.generator_lr, betas),),
                (ParameterGroup(("discriminator",), c.discriminator_lr, betas),),
                c.discriminator_steps,
            )
        ]

    def generator_losses(self, batch: Batch, step: int) -> tuple[Losses, Fakes]:
        """Adversarial term, PatchNCE between content and result, and between style and its own translation.

        Raises:
            ValueError: the batch has no style.
        """
        c = self.config
        style = _style(batch)
        nce_weight, identity_weight = c.weights()
        sources = torch.cat([batch.content, style]) if identity_weight > 0 else batch.content
        made = self.networks["generator"](sources)
        fake = made[: len(batch.content)]
        logits = self.networks["discriminator"](fake)
        losses: Losses = {"adversarial": c.adversarial_weight * generator_loss(c.adversarial, logits)}
        if nce_weight > 0 or identity_weight > 0:
            nce = self._nce(made, sources)  # (N,) or (2 N,), content first
            losses["nce"] = nce_weight * nce[: len(fake)].mean()
            if identity_weight > 0:
                losses["identity_nce"] = identity_weight * nce[len(fake) :].mean()
        return losses, {"translated": fake}

    def discriminator_losses(self, batch: Batch, fakes: Fakes, step: int) -> Losses:
        """Style against translations, and lazy R1.

        Raises:
            ValueError: the batch has no style.
        """
        c = self.config
        style = _style(batch)
        discriminator = self.networks["discriminator"]
        logits = discriminator(torch.cat([style, fakes["translated"]]))
        loss = discriminator_loss(c.adversarial, logits[: len(style)], logits[len(style) :])
        losses: Losses = {"discriminator": loss}
        if c.r1_gamma > 0 and step % c.r1_every_steps == 0:
            real = style.detach().requires_grad_()
            with torch.autocast(real.device.type, enabled=False):  # bf16 gradients of gradients are noise
                penalty = r1_penalty(real, discriminator(real)).mean()
            losses["r1"] = 0.5 * c.r1_gamma * c.r1_every_steps * penalty
        return losses

    def translate(self, content: Tensor, conditions: Conditions) -> Tensor:
        """The picture in the style, (N, 3, H, W), fp32; unchanged where the mask is 0."""
        return blend_by_mask(self.networks["generator"](content), content, conditions.mask_unit)

    def receptive_field_px(self) -> int | None:
        """Radius of the generator's window; None with norm layers."""
        radius: int | None = self.networks["generator"].receptive_field_px()  # type: ignore[operator]
        return radius

    def _nce(self, made: Tensor, sources: Tensor) -> Tensor:
        """(N,) PatchNCE of results against what they were made from, mean over stages and patches."""
        heads = self.networks["heads"]
        queries, keys = self._features(made), self._features(sources)
        positions = [sample_positions(q.shape[2] * q.shape[3], self.config.nce_patches, q.device) for q in queries]
        stages = zip(heads(queries, positions), heads(keys, positions), strict=True)
        return torch.stack([patch_nce(q, k, self.config.nce_temperature).mean(dim=1) for q, k in stages]).mean(dim=0)

    def _features(self, pictures: Tensor) -> list[Tensor]:
        encoded: list[Tensor] = self.networks["generator"].encode(pictures)  # type: ignore[operator]
        return [encoded[stage] for stage in self.config.stages()]


def _style(batch: Batch) -> Tensor:
    if batch.style is None:
        raise ValueError("cut needs pictures of the style: the batch has none")
    return batch.style
