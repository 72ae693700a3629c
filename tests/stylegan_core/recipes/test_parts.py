"""Every part that recipes share, in every recipe that has a discriminator, at a tiny size.

A recipe that is built on ``AdversarialConfig`` is tested here with no code of its own.
"""

from __future__ import annotations

from typing import Any

import pytest
import safetensors.torch
import torch

from stylegan_core.recipes import config_class, list_recipes, recipe_class
from stylegan_core.recipes.adversary import AdversarialConfig, Adversary
from stylegan_core.recipes.base import BaseRecipe
from tests.stylegan_core.recipes.contract import batch_for, networks_with_gradients, train_step
from tests.tiny import tiny_sizes

WITH_A_DISCRIMINATOR = [name for name in list_recipes() if issubclass(config_class(name), AdversarialConfig)]

PARTS: dict[str, dict[str, Any]] = {
    "multi_scale": {"discriminator_layout": "multi_scale"},
    "global_local": {"discriminator_layout": "global_local"},
    "projected": {"discriminator_layout": "projected", "augmentation": "mild"},
    "projected_alone": {
        "discriminator_layout": "projected",
        "discriminator_pixels": False,
        "augmentation": "ada",
        "ada_kimg": 0.1,
        "adversarial": "hinge",
        "r1_gamma": 0.01,
        "r1_every_steps": 2,
        "discriminator_dropout": 0.3,
    },
    "diffaugment": {"augmentation": "diffaugment"},
    "ada": {"augmentation": "ada", "ada_kimg": 0.1, "adversarial": "hinge"},
    "gradient_penalty": {"gradient_penalty_weight": 10.0, "adversarial": "wasserstein"},
    "r1": {"r1_gamma": 0.01, "r1_every_steps": 1},
    "dropout": {"discriminator_dropout": 0.3},
    "no_norm": {"discriminator_norm": "none"},
    "instance_norm": {"discriminator_norm": "instance"},
    "batch_norm": {"discriminator_norm": "batch"},
    "spectral_norm": {"discriminator_norm": "spectral"},
    "frozen_layers": {"frozen_layers": 1, "discriminator_layout": "patch"},
    "all_at_once": {
        "discriminator_layout": "multi_scale",
        "augmentation": "diffaugment",
        "gradient_penalty_weight": 1.0,
        "r1_gamma": 0.01,
        "r1_every_steps": 2,
        "discriminator_dropout": 0.3,
        "discriminator_norm": "batch",
        "frozen_layers": 1,
    },
}


def build(name: str, part: str) -> BaseRecipe:
    config = config_class(name)
    values = tiny_sizes(config)
    torch.manual_seed(0)
    return recipe_class(name)(config(**(values | PARTS[part]))).train()


def test_there_are_recipes_with_a_discriminator() -> None:
    assert {"cut", "keyframe"} <= set(WITH_A_DISCRIMINATOR)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", WITH_A_DISCRIMINATOR)
def test_a_part_trains_the_right_networks(name: str, part: str) -> None:
    recipe = build(name, part)
    frozen = {id(p) for p in recipe.parameters() if not p.requires_grad}
    assert bool(frozen) is bool(PARTS[part].get("frozen_layers"))
    batch, phase = batch_for(recipe), recipe.phases()[-1]
    generator = {n for g in phase.generator for n in g.networks}
    discriminator = {n for g in phase.discriminator for n in g.networks}
    assert discriminator

    for side in ("generator", "discriminator"):  # as the trainer does: the other side is frozen
        chosen = generator if side == "generator" else discriminator
        for network_name, network in recipe.networks.items():
            for parameter in network.parameters():
                parameter.requires_grad_(network_name in chosen and id(parameter) not in frozen)
        recipe.zero_grad(set_to_none=True)
        if side == "generator":
            losses, fakes = recipe.generator_losses(batch, 0)
        else:
            losses = recipe.discriminator_losses(batch, {k: v.detach() for k, v in fakes.items()}, 0)
            expected = {"gradient_penalty": "gradient_penalty", "r1": "r1"}.get(part)
            assert expected is None or any(expected in term for term in losses)
        assert all(v.ndim == 0 and v.dtype == torch.float32 and v.isfinite() for v in losses.values()), losses
        sum(losses.values()).backward()  # type: ignore[union-attr]
        assert networks_with_gradients(recipe) == chosen
        assert all(p.grad is None or p.grad.isfinite().all() for p in recipe.parameters())
        assert all(p.grad is None for p in recipe.parameters() if id(p) in frozen)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", WITH_A_DISCRIMINATOR)
def test_training_with_a_part_continues_exactly(name: str, part: str) -> None:
    recipe, resumed = build(name, part), build(name, part)
    phase = recipe.phases()[-1]
    adversaries = [module for module in recipe.modules() if isinstance(module, Adversary)]
    assert adversaries, "the recipe keeps its Adversary where state_dict does not see it"
    for adversary in adversaries:
        adversary.probability.fill_(0.5)
    for step in range(4):
        train_step(recipe, batch_for(recipe, step), step, phase, rate=1e-3)
    moved = [adversary.probability.item() != 0.5 for adversary in adversaries]
    assert all(moved) if PARTS[part].get("augmentation") == "ada" else not any(moved)
    saved, rng = safetensors.torch.save(recipe.state_dict()), torch.get_rng_state()
    resumed.load_state_dict(safetensors.torch.load(saved))
    for each in (recipe, resumed):
        torch.set_rng_state(rng)
        for step in range(4, 6):
            made, of_discriminator = train_step(each, batch_for(recipe, step), step, phase, rate=1e-3)
            assert all(v.isfinite() for v in (made | of_discriminator).values())
    expected = recipe.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in resumed.state_dict().items())
