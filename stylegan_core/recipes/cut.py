"""Unpaired translation by contrastive learning of patches: CUT, FastCUT, and SinCUT for a single picture a side.

Park et al. 2020, Contrastive Learning for Unpaired Image-to-Image Translation (arXiv 2007.15651). FastCUT mirrors half
of its inputs, and compares their results' features mirrored back (flip equivariance).

SinCUT learns from one content and one style picture of high resolution, in small crops at random zooms. As in the
paper, the discriminator has R1, and the generator an L1 identity term on style pictures. Unlike the paper: generator
and discriminator are the residual and the patch network, not StyleGAN2's; negatives are patches of the same crop, not
of the whole batch; a zoomed crop is a smaller part of the picture, enlarged, where the paper's is a larger part,
reduced.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from stylegan_core.data.batch import Batch
from stylegan_core.losses.contrastive import patch_nce, sample_positions
from stylegan_core.losses.reconstruction import masked_l1
from stylegan_core.networks.blend import blend_by_mask
from stylegan_core.networks.patch_projection import PatchProjection
from stylegan_core.recipes.adversary import AdversarialRecipe, Adversary
from stylegan_core.recipes.base import (
    Conditions,
    Fakes,
    Kind,
    Losses,
    Needs,
    Presets,
    RecipeConfig,
    SettingValue,
)
from stylegan_core.recipes.weak_supervision import WeakSupervisionConfig, known_distance

_SINGLE_IMAGE: dict[str, SettingValue] = {
    "crop_px": 64,
    "batch_size": 16,
    "generator_lr": 2e-3,
    "discriminator_lr": 2e-3,
    "beta1": 0.0,
    "beta2": 0.99,
    "channels": 16,
    "downsamplings": 1,
    "discriminator_channels": 16,
    "discriminator_norm": "none",
    "adversarial": "nonsaturating",
    "r1_gamma": 1.0,
}
"""Defaults of ``single_image``."""


class Config(WeakSupervisionConfig):
    """Settings of ``cut``; the defaults are the paper's but for the budget, for a GPU and hours."""

    budget_steps: int = Field(100_000, ge=1, description="generator steps; a larger value continues a finished run")
    crop_px: int = Field(256, ge=16, description="side of the training crops")
    batch_size: int = Field(1, ge=1)
    fast: bool = Field(
        False, description="FastCUT: nce_weight 10, no identity term, flip equivariance; less work and memory"
    )
    single_image: bool = Field(
        False, description="SinCUT: one picture for each domain, in small zoomed crops; requires an r1_gamma above 0"
    )
    zoom_min: float | None = Field(
        None,
        gt=0.0,
        le=1.0,
        description="smallest zoom, as a share of the crop's side; default: 1, or 0.4 with single_image",
    )
    nce_weight: float | None = Field(
        None, ge=0.0, description="weight of PatchNCE on content; default: 0.5, or 10 with fast, or 2 with single_image"
    )
    identity_nce_weight: float | None = Field(
        None, ge=0.0, description="weight of PatchNCE on style; default: as on content, or 0 with fast"
    )
    identity_weight: float | None = Field(
        None,
        ge=0.0,
        description="weight of L1 between style and its own translation; default: 0, or 1 with single_image",
    )
    nce_patches: int = Field(256, ge=2, description="patches for each picture and stage")
    nce_temperature: float = Field(0.07, gt=0)
    nce_stages: tuple[int, ...] | None = Field(
        None,
        description="generator stages to compare: 0 pixels, 1 first layer, then downsamplings, then blocks; "
        "default: pixels, downsamplings, the first and the middle block",
    )
    projection_width: int = Field(256, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _single_image_has_defaults(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("single_image"):
            return _SINGLE_IMAGE | given
        return given

    @model_validator(mode="after")
    def _single_image_is_smoothed(self) -> Self:
        if self.single_image and self.r1_gamma == 0:
            raise ValueError("single_image requires r1_gamma, such as 1: a discriminator soon memorizes one picture")
        return self

    @model_validator(mode="after")
    def _content_passes_through_the_encoder(self) -> Self:
        if self.generator != "resnet":
            raise ValueError(
                f"cut compares features of the encoder, which a {self.generator}'s skips bypass: use resnet"
            )
        return self

    @model_validator(mode="after")
    def _stages_exist(self) -> Self:
        last = 1 + self.downsamplings + self.blocks
        wrong = [stage for stage in self.stages() if not 0 <= stage <= last]
        if wrong or not self.stages():
            raise ValueError(f"nce_stages must be one or more of 0 to {last}, got {self.nce_stages}")
        return self

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        self.check_crop(halvings=self.downsamplings, discriminator_layers=self.discriminator_layers)
        return self

    def stages(self) -> tuple[int, ...]:
        """The generator stages to compare, as set or by default."""
        if self.nce_stages is not None:
            return self.nce_stages
        first_block = 2 + self.downsamplings
        middle = first_block + self.blocks // 2
        return (0, *range(2, first_block), *sorted({first_block, middle}))

    def weights(self) -> tuple[float, float]:
        """Weights of PatchNCE on content and on style, as set or by ``fast`` and ``single_image``.

        By default both terms count half, so that their sum has the paper's weight: 1, or 4 for a single picture.
        """
        both = 4.0 if self.single_image else 1.0
        content, identity = (10.0, 0.0) if self.fast else (0.5 * both, 0.5 * both)
        return (
            content if self.nce_weight is None else self.nce_weight,
            identity if self.identity_nce_weight is None else self.identity_nce_weight,
        )

    def l1_identity_weight(self) -> float:
        """Weight of the L1 identity term, as set or by ``single_image``."""
        return self.identity_weight if self.identity_weight is not None else float(self.single_image)

    def zoom(self) -> float:
        """Least share of a crop's side, as set or by ``single_image``."""
        return self.zoom_min if self.zoom_min is not None else (0.4 if self.single_image else 1.0)


class Recipe(AdversarialRecipe):
    """A generator, a discriminator, and projection heads on the generator's own encoder."""

    kind: ClassVar[Kind] = Kind.TRANSLATE
    needs: ClassVar[Needs] = Needs(content=True, style=True, paired=False)
    paper: ClassVar[str] = "Park et al. 2020, arXiv 2007.15651"
    presets: ClassVar[Presets] = {
        "two_cores": {
            "fast": True,
            "nce_weight": 1.0,
            "budget_steps": 1_600,
            "crop_px": 128,
            "batch_size": 2,
            "generator_lr": 4e-4,
            "discriminator_lr": 4e-4,
            "beta1": 0.0,
            "beta2": 0.99,
            "lr_schedule": "cosine",
            "lr_decay_start_step": 800,
            "lr_decay_end_step": 1_600,
            "ema_decay": 0.998,
            "nce_patches": 64,
            "projection_width": 64,
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
            # Without both, strokes come from the network's own grid and stand still before the scene.
            "fourier_features": 8,
            "shift_consistency_weight": 10.0,
        },
        "one_gpu": {"fast": True, "budget_steps": 30_000, "batch_size": 4},
        # 200 epochs, and 200 of linear decay, of 1,334 pictures: the larger folder of horse2zebra, with batches of one.
        "paper": {
            "budget_steps": 533_600,
            "lr_schedule": "linear",
            "lr_decay_start_step": 266_800,
            "lr_decay_end_step": 533_600,
        },
    }

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        generator = config.build_generator()  # no skips: content must pass through the encoder, which is compared
        self.networks["generator"] = generator
        channels: tuple[int, ...] = generator.stage_channels  # type: ignore[assignment]
        self.networks["heads"] = PatchProjection(
            [channels[stage] for stage in config.stages()], config.projection_width
        )
        self.networks["discriminator"] = config.build_discriminator_for(generator)
        self.adversary = Adversary(config)

    @classmethod
    def needs_with(cls, config: RecipeConfig) -> Needs:
        """Known pairs and zoomed crops, if they are on."""
        assert isinstance(config, Config)
        return replace(config.supervised(cls.needs), zoom_min=config.zoom())

    def generator_losses(self, batch: Batch, step: int) -> tuple[Losses, Fakes]:
        """Adversarial term, PatchNCE between content and result, identity on style, and known pairs if there are any.

        Raises:
            ValueError: the batch has no style.
        """
        c = self.config
        style = _style(batch)
        nce_weight, identity_nce_weight = c.weights()
        identity_weight = c.l1_identity_weight()
        translates_style = identity_nce_weight > 0 or identity_weight > 0
        sources = torch.cat([batch.content, style]) if translates_style else batch.content
        mirrored = c.fast and bool(torch.rand(()) < 0.5)  # drawn on the CPU: it does not wait for a GPU
        given = sources.flip(3) if mirrored else sources
        made, encoded = self._translated(given)
        count = len(batch.content)
        fake, same = made[:count], made[count:]
        losses: Losses = {"adversarial": self.adversary.generator_term(self.networks["discriminator"], fake)}
        if nce_weight > 0 or identity_nce_weight > 0:
            compared = len(made) if identity_nce_weight > 0 else len(fake)
            keys = None if mirrored else [features[:compared] for features in encoded]
            nce = self._nce(made[:compared], sources[:compared], keys)  # (N,) or (2 N,), content first
            losses["nce"] = nce_weight * nce[: len(fake)].mean()
            if identity_nce_weight > 0:
                losses["identity_nce"] = identity_nce_weight * nce[len(fake) :].mean()
        if identity_weight > 0:
            losses["identity"] = identity_weight * masked_l1(same, given[count:])
        losses = c.mixed_objective(losses, known_distance(batch, self.networks["generator"]))
        losses |= c.steadiness(self.networks["generator"], given[:count], step, fake)
        return losses, {"translated": fake}

    def fakes(self, batch: Batch, step: int) -> Fakes:  # noqa: ARG002  # the contract's
        """See ``BaseRecipe``: translations alone, as often mirrored."""
        mirrored = self.config.fast and bool(torch.rand(()) < 0.5)
        content = batch.content.flip(3) if mirrored else batch.content
        return {"translated": self.networks["generator"](content)}

    def discriminator_losses(self, batch: Batch, fakes: Fakes, step: int) -> Losses:
        """The losses on style pictures and translations, and the penalties.

        Raises:
            ValueError: the batch has no style.
        """
        discriminator = self.networks["discriminator"]
        return self.adversary.discriminator_terms(discriminator, _style(batch), fakes["translated"], step)

    def translate(self, content: Tensor, conditions: Conditions) -> Tensor:
        """The translated picture, (N, 3, H, W), fp32; unchanged where the mask is 0."""
        return blend_by_mask(self.networks["generator"](content), content, conditions.mask_unit)

    def _translated(self, pictures: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Translations, and the generator's features of the pictures at the compared stages."""
        generator = self.networks["generator"]
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        encoded: list[Tensor] = generator.encode(pictures)  # type: ignore[operator]
        return generator(pictures, encoded), [encoded[stage] for stage in self.config.stages()]

    def _nce(self, made: Tensor, sources: Tensor, encoded: list[Tensor] | None) -> Tensor:
        """(N,) PatchNCE between results and their sources, mean over stages and patches.

        Args:
            made: (N, 3, H, W).
            sources: (N, 3, H, W).
            encoded: features of the sources; None: ``made`` was made of mirrored sources.
        """
        heads = self.networks["heads"]
        queries = self._features(made)
        if encoded is None:
            queries = [features.flip(3) for features in queries]
        positions = [sample_positions(q.shape[2] * q.shape[3], self.config.nce_patches, q.device) for q in queries]
        rows = heads(queries, positions)
        with torch.no_grad():  # after the queries: autocast would hand them weights that it cast without gradients
            key_rows = heads(self._features(sources) if encoded is None else encoded, positions)
        pairs = zip(rows, key_rows, strict=True)
        return torch.stack([patch_nce(q, k, self.config.nce_temperature).mean(dim=1) for q, k in pairs]).mean(dim=0)

    def _features(self, pictures: Tensor) -> list[Tensor]:
        stages = self.config.stages()
        encoded: list[Tensor] = self.networks["generator"].encode(pictures, max(stages))  # type: ignore[operator]
        return [encoded[stage] for stage in stages]


def _style(batch: Batch) -> Tensor:
    if batch.style is None:
        raise ValueError("cut requires style pictures: the batch has none")
    return batch.style
