"""What a trainer and a user give a recipe, at a tiny size: a batch, conditions, one step of gradient descent."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stylegan_core.data.batch import Batch
from stylegan_core.recipes.base import BaseRecipe, Conditions, Losses, Phase


def batch_for(recipe: BaseRecipe, seed: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(seed)

    def crops(channels: int = 3) -> Tensor:
        return torch.rand(2, channels, 32, 32, generator=generator) * 2 - 1

    attributes = type(recipe).needs_with(recipe.config).labels  # type: ignore[arg-type]
    return Batch(
        content=crops(),
        style=crops() if recipe.needs.style else None,
        mask_unit=crops(1) * 0.5 + 0.5 if recipe.needs.paired else None,
        unpainted=crops() if recipe.needs.unpainted else None,
        labels=torch.randint(2, (2, len(attributes)), generator=generator).float() if attributes else None,
    )


def conditions_for(recipe: BaseRecipe, content: Tensor) -> Conditions:
    """Conditions for a conditioned recipe: without them an editor copies its input."""
    attributes = type(recipe).needs_with(recipe.config).labels
    return Conditions(
        styles=content.flip(0, 3)[:1] * 0.5 if "styles" in recipe.conditioned_on else None,
        labels=torch.ones(len(content), len(attributes)) if "labels" in recipe.conditioned_on else None,
    )


def train_step(recipe: BaseRecipe, batch: Batch, step: int, phase: Phase, rate: float = 1e-2) -> tuple[Losses, Losses]:
    """What the trainer does, with plain gradient descent."""

    def update(groups: tuple[Any, ...], losses: Losses) -> None:
        parameters = [p for g in groups for n in g.networks for p in recipe.networks[n].parameters() if p.requires_grad]
        gradients = torch.autograd.grad(sum(losses.values()), parameters, allow_unused=True)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    parameter.sub_(rate * gradient)

    made, fakes = recipe.generator_losses(batch, step)
    update(phase.generator, made)
    of_discriminator: Losses = {}
    if phase.discriminator:
        of_discriminator = recipe.discriminator_losses(batch, {k: v.detach() for k, v in fakes.items()}, step)
        update(phase.discriminator, of_discriminator)
    return made, of_discriminator


def networks_with_gradients(recipe: BaseRecipe) -> set[str]:
    return {
        name
        for name, network in recipe.networks.items()
        if any(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
    }
