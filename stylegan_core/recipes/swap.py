"""Any reference's style at run time, G(content, style), by an autoencoder whose texture code is swapped.

Park et al. 2020, Swapping Autoencoder for Deep Image Manipulation (arXiv 2007.00653), with the modulation of Karras et
al. 2020, Analyzing and Improving the Image Quality of StyleGAN (arXiv 1912.04958).
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from stylegan_core.data.augment import vary_colours
from stylegan_core.data.batch import Batch
from stylegan_core.losses.adversarial import Adversarial, discriminator_loss, generator_loss
from stylegan_core.losses.regularization import r1_penalty
from stylegan_core.losses.style import colour_and_surface_distance
from stylegan_core.networks.blend import blend_by_mask
from stylegan_core.networks.equalized import equalize
from stylegan_core.networks.patch_discriminator import DiscriminatorNorm
from stylegan_core.networks.swap.cooccurrence import CooccurrenceDiscriminator, random_patches
from stylegan_core.recipes.adversary import AdversarialRecipe, Adversary
from stylegan_core.recipes.base import Conditions, Fakes, Kind, Losses, Needs, Presets, RecipeConfig
from stylegan_core.recipes.swap_settings.features import SwapFeaturesConfig


class Config(SwapFeaturesConfig):
    """Settings of ``swap``; with ``equalized`` the defaults are the paper's, for several GPUs and days."""

    budget_steps: int = Field(1_500_000, ge=1, description="generator steps; a larger value continues a finished run")
    crop_px: int = Field(256, ge=16, description="side of the training crops")
    batch_size: int = Field(8, ge=1, description="crops of each folder")
    generator_lr: float = Field(2e-3, gt=0)
    discriminator_lr: float = Field(2e-3, gt=0)
    beta1: float = Field(0.0, ge=0.0, lt=1.0)
    beta2: float = Field(0.99, ge=0.0, lt=1.0)
    # The paper's 10 is for one logit a picture; the penalty here is on the sum over all windows' logits.
    r1_gamma: float = Field(0.01, ge=0.0)
    discriminator_norm: DiscriminatorNorm = "none"
    adversarial: Adversarial = "nonsaturating"
    one_folder: bool = Field(
        False, description="train on the content folder only: its pictures are each other's references"
    )
    l1_weight: float = Field(
        1.0, ge=0.0, description="weight of the L1 distance between a picture and its reconstruction"
    )
    reconstruction_share: float = Field(
        0.5, ge=0.0, description="share of adversarial_weight for reconstructions; 0: only swaps are classified"
    )
    cooccurrence_weight: float = Field(
        1.0, ge=0.0, description="weight of the patch co-occurrence loss; 0: no such discriminator"
    )
    cooccurrence_r1_gamma: float = Field(
        1.0, ge=0.0, description="weight of R1 on the patches of picture and reference; every r1_every_steps"
    )
    patches: int = Field(8, ge=1, description="patches of each picture, for the co-occurrence discriminator")
    patch_px: int = Field(64, ge=8, description="size to which these patches are resized, from 1/8 to 1/4 of the crop")
    recolour_share: float = Field(
        0.0, ge=0.0, le=1.0, description="share of the crops whose colours are changed at random: more palettes"
    )
    style_weight: float = Field(
        0.0,
        ge=0.0,
        description="weight of the sliced Wasserstein distances between colours and patches of swap and reference",
    )
    structure_weight: float = Field(
        0.0, ge=0.0, description="weight of the distance between the structure codes of a swap and of its content"
    )

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        self.check_crop(halvings=self.halvings(), discriminator_layers=0)
        if self.one_folder and self.batch_size < 2:
            raise ValueError("one_folder requires a batch_size of 2 or more: each crop takes its texture from another")
        if self.recolour_share > 0 and self.adversarial_weight + self.cooccurrence_weight > 0:
            raise ValueError("recolour_share requires adversarial_weight 0 and cooccurrence_weight 0: set them")
        return self


class Recipe(AdversarialRecipe):
    """An encoder, one generator for reconstructions and swaps, and two discriminators.

    Pictures of both folders are both content and reference, so that the model also restyles paintings.
    """

    kind: ClassVar[Kind] = Kind.TRANSLATE
    needs: ClassVar[Needs] = Needs(content=True, style=True, paired=False)
    paper: ClassVar[str] = "Park et al. 2020, arXiv 2007.00653; Karras et al. 2020, arXiv 1912.04958"
    inference_networks: ClassVar[tuple[str, ...]] = ("encoder", "generator")
    conditioned_on: ClassVar[tuple[str, ...]] = ("styles",)
    presets: ClassVar[Presets] = {
        # Style by trained features alone: discriminators act later than these steps.
        "two_cores": {
            "budget_steps": 1600,
            "crop_px": 96,
            "batch_size": 2,
            "generator_lr": 1e-3,
            "discriminator_lr": 1e-3,
            "beta1": 0.5,
            "lr_schedule": "cosine",
            "lr_decay_start_step": 800,
            "lr_decay_end_step": 1600,
            "ema_decay": 0.99,
            "gradient_clip": 1.0,
            "r1_gamma": 0.0,
            "channels": 32,
            "most_channels": 64,
            "blocks": 2,
            "downsamplings": 1,
            "half_resolution": True,
            "structure_channels": 16,
            "fine_structure_channels": 4,
            "structure_bound": 4.0,
            "texture_width": 256,
            "texture_trunk": True,
            "colour_matched": True,
            "fourier_features": 8,
            "grain": False,
            "style_shifts": True,
            "padding": "replicate",
            "recolour_share": 0.5,
            "adversarial_weight": 0.0,
            "cooccurrence_weight": 0.0,
            # Of discriminators, for those who turn them on.
            "discriminator_channels": 32,
            "discriminator_layers": 2,
            "discriminator_norm": "instance",
            "adversarial": "least_squares",
            "patch_px": 16,
            "reconstruction_share": 0.0,
            "l1_weight": 1.5,
            "style_weight": 3.0,
            "feature_style_weight": 10.0,
            "content_weight": 0.3,
        },
        "one_gpu": {
            "budget_steps": 100_000,
            "crop_px": 128,
            "batch_size": 16,
            "generator_lr": 1e-3,
            "discriminator_lr": 1e-3,
            "most_channels": 256,
            "downsamplings": 2,
            "structure_channels": 16,
            "texture_width": 512,
            "discriminator_norm": "instance",
            "adversarial": "least_squares",
            "r1_gamma": 0.0,
            "patch_px": 32,
            "l1_weight": 8.0,
            "style_weight": 1.0,
        },
        "paper": {"equalized": True},
    }

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.networks["encoder"] = config.build_encoder()
        self.networks["generator"] = config.build_generator()
        if config.adversarial_weight > 0:
            self.networks["discriminator"] = config.build_discriminator()
        if config.cooccurrence_weight > 0:
            self.networks["cooccurrence_discriminator"] = CooccurrenceDiscriminator(
                config.discriminator_channels, config.patch_px, config.discriminator_norm
            )
        if config.equalized:
            for network in self.networks.values():
                equalize(network)
        self.adversary = Adversary(config)

    @classmethod
    def needs_with(cls, config: RecipeConfig) -> Needs:
        """The content folder, and the style folder unless ``one_folder`` is on."""
        assert isinstance(config, Config)
        return Needs(content=True, style=not config.one_folder)

    def generator_losses(self, batch: Batch, step: int) -> tuple[Losses, Fakes]:
        """L1 of reconstructions, the adversarial terms of both, and the style terms between swaps and references.

        Raises:
            ValueError: the batch has no style, and ``one_folder`` is off.
        """
        c = self.config
        pictures, references = self._pairs(self._vary_colours(batch))
        self.networks["encoder"].load_trunk()  # type: ignore[operator]
        structure, texture = self.networks["encoder"](pictures)
        shift = len(pictures) // 2 if batch.style is not None else 1
        swapped = texture.roll(shift, dims=0)
        offsets = self.networks["generator"].draw_offsets()  # type: ignore[operator]
        made = self.networks["generator"](structure.repeat(2, 1, 1, 1), torch.cat([texture, swapped]), offsets)
        rebuilt, swap = made.chunk(2)
        losses: Losses = {"l1": c.l1_weight * F.l1_loss(rebuilt, pictures)}
        if c.adversarial_weight > 0:
            discriminator = self.networks["discriminator"]
            losses["adversarial"] = self.adversary.generator_term(discriminator, swap)
            if c.reconstruction_share > 0:
                term = self.adversary.generator_term(discriminator, rebuilt)
                losses["adversarial_rebuilt"] = c.reconstruction_share * term
        if c.cooccurrence_weight > 0:
            logits = self.networks["cooccurrence_discriminator"](self._patches(swap), self._patches(references))
            losses["cooccurrence"] = c.cooccurrence_weight * generator_loss(c.adversarial, logits)
        if c.style_weight > 0:
            losses["style"] = c.style_weight * colour_and_surface_distance(swap, references)
        losses |= c.feature_terms(swap, pictures, shift)
        if c.structure_weight > 0:
            again, _ = self.networks["encoder"](swap)
            losses["structure"] = c.structure_weight * F.l1_loss(again, structure.detach())

        def restyled(changed: Tensor) -> Tensor:
            layout, _ = self.networks["encoder"](changed)
            # The same noise as in the swap: its change is no inconsistency.
            result: Tensor = self.networks["generator"](layout, swapped, offsets)
            return result

        losses |= c.steadiness(restyled, pictures, step, swap)
        return losses, {"swap": swap, "rebuilt": rebuilt}

    def discriminator_losses(self, batch: Batch, fakes: Fakes, step: int) -> Losses:
        """The losses on pictures and results, on patches of references and of swaps, and lazy R1.

        Raises:
            ValueError: the batch has no style, and ``one_folder`` is off.
        """
        c = self.config
        pictures, references = self._pairs(batch)
        losses: Losses = {}
        if c.adversarial_weight > 0:
            fake = torch.cat([fakes["swap"], fakes["rebuilt"]]) if c.reconstruction_share > 0 else fakes["swap"]
            losses |= self.adversary.discriminator_terms(self.networks["discriminator"], pictures, fake, step)
        if c.cooccurrence_weight > 0:
            discriminator = self.networks["cooccurrence_discriminator"]
            real, fake = self._patches(references), self._patches(fakes["swap"])
            reference = self._patches(references)
            losses["cooccurrence"] = discriminator_loss(
                c.adversarial, discriminator(real, reference), discriminator(fake, reference)
            )
            if c.cooccurrence_r1_gamma > 0 and step % c.r1_every_steps == 0:
                both = torch.cat([real, reference], dim=1).detach().requires_grad_()
                with torch.autocast(both.device.type, enabled=False):  # bf16 gradients of gradients are noise
                    logits = discriminator(*torch.split(both, [real.shape[1], reference.shape[1]], dim=1))
                    penalty = 0.5 * r1_penalty(both, logits).mean()  # the mean of both sides, as in the authors' code
                losses["cooccurrence_r1"] = 0.5 * c.cooccurrence_r1_gamma * c.r1_every_steps * penalty
        return losses

    def translate(self, content: Tensor, conditions: Conditions) -> Tensor:
        """The content in the references' style, (N, 3, H, W), fp32; unchanged where the mask is 0.

        Without references it is the content's reconstruction. ``strength`` goes from the content's own texture code to
        that of the references, on a straight line, and beyond it for more than 1.

        Args:
            content: (N, 3, H, W) in [-1, 1], any size.
            conditions: ``styles`` and ``style_codes`` are mixed by ``style_weights``, pictures first; equally without.
        """
        code = self._mixed(conditions)
        encoder = self.networks["encoder"]
        # In an exported graph the strength is an input.
        if code is not None and not torch.is_tensor(conditions.strength) and conditions.strength == 1:
            structure = encoder.structure_code(self._padded(content))  # type: ignore[operator]
            texture = code.to(structure).expand(len(content), -1)
        else:
            structure, texture = encoder(self._padded(content))
            if code is not None:
                texture = texture + conditions.strength * (code.to(texture) - texture)
        made = self.networks["generator"](structure, texture)
        if made.shape != content.shape:
            made = made[..., : content.shape[-2], : content.shape[-1]]
        return blend_by_mask(made, content, conditions.mask_unit)

    def prepare_conditions(self, conditions: Conditions) -> Conditions:
        """The weighted mean of the references as one texture code, (1, D)."""
        return replace(conditions, styles=None, style_codes=self._mixed(conditions), style_weights=None)

    def texture_codes(self, pictures: Tensor) -> Tensor:
        """(K, D) texture codes of (K, 3, H, W) references in [-1, 1], fp32."""
        codes: Tensor = self.networks["encoder"](self._padded(pictures))[1]
        return codes

    def _mixed(self, conditions: Conditions) -> Tensor | None:
        """(1, D) weighted mean of the references' texture codes, or None without any."""
        parts = [self.texture_codes(conditions.styles)] if conditions.styles is not None else []
        if conditions.style_codes is not None:
            parts.append(conditions.style_codes)
        if not parts:
            return None
        codes = torch.cat([part.to(parts[0]) for part in parts])
        if conditions.style_weights is None:
            return codes.mean(dim=0, keepdim=True)
        return conditions.style_weights.to(codes)[None] @ codes

    def _pairs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(M, 3, H, W) pictures, and for each the reference whose texture it gets."""
        if self.config.one_folder:
            return batch.content, batch.content.roll(1, dims=0)
        if batch.style is None:
            raise ValueError("swap requires style pictures or one_folder: the batch has no style")
        return torch.cat([batch.content, batch.style]), torch.cat([batch.style, batch.content])

    def _vary_colours(self, batch: Batch) -> Batch:
        share = self.config.recolour_share
        if share == 0:
            return batch
        style = None if batch.style is None else vary_colours(batch.style, share)
        return replace(batch, content=vary_colours(batch.content, share), style=style)

    def _patches(self, pictures: Tensor) -> Tensor:
        return random_patches(pictures, self.config.patches, self.config.patch_px)

    def _padded(self, pictures: Tensor) -> Tensor:
        multiple = 2 ** self.config.halvings()
        height, width = pictures.shape[-2:]
        if height % multiple == 0 and width % multiple == 0:
            return pictures
        return F.pad(pictures, [0, -width % multiple, 0, -height % multiple], mode="reflect")
