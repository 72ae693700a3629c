"""Every recipe, at a tiny size, against what the trainer, inference and export expect of it."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import safetensors.torch
import torch

from stylegan_core.data.sample.photographs import load_photograph
from stylegan_core.metrics.pictures import Floats
from stylegan_core.metrics.shift_error import shift_error
from stylegan_core.recipes import config_class, list_recipes, recipe_class
from stylegan_core.recipes.adversary import Adversary
from stylegan_core.recipes.base import BaseRecipe, Conditions, Kind, Phase
from tests.stylegan_core.recipes.contract import batch_for, conditions_for, networks_with_gradients, train_step
from tests.tiny import tiny_sizes


def tiny(name: str, every_term: bool = False) -> BaseRecipe:
    """The recipe with its default terms, or with every term switched on that is off by default."""
    config = config_class(name)
    values = tiny_sizes(config)
    if every_term:
        fields = config.model_fields.items()
        values |= {k: 0.5 for k, f in fields if k.endswith("_weight") and f.default in (0.0, None)}
        due = {"r1_gamma": 0.01, "r1_every_steps": 1, "consistency_every_steps": 1}
        values |= {name: value for name, value in due.items() if name in config.model_fields}
    torch.manual_seed(0)
    return recipe_class(name)(config(**values))


both = pytest.mark.parametrize("every_term", [False, True], ids=["default", "every_term"])
each = pytest.mark.parametrize("name", list_recipes())


@each
def test_declares_itself(name: str) -> None:
    recipe = tiny(name)
    assert recipe.paper
    assert set(recipe.inference_networks) <= set(recipe.networks)
    phases = recipe.phases()
    assert [p.end_step for p in phases][-1] is None
    assert all(p.end_step is not None for p in phases[:-1])
    stepped = {n for p in phases for g in (*p.generator, *p.discriminator) for n in g.networks}
    assert stepped == set(recipe.networks), "a network that no phase trains, or a phase that names none"


@each
@pytest.mark.parametrize("size", [None, 12])
def test_every_adversary_learns_the_size_of_the_data_set(name: str, size: int | None) -> None:
    recipe = tiny(name)
    recipe.set_dataset_size(7)
    recipe.set_dataset_size(size)
    adversaries = [module for module in recipe.modules() if isinstance(module, Adversary)]
    assert adversaries
    assert {adversary.dataset_size for adversary in adversaries} == {size}


@each
@both
def test_losses_are_finite_and_reach_the_right_networks_only(name: str, every_term: bool) -> None:
    recipe = tiny(name, every_term)
    batch = batch_for(recipe)
    phase = recipe.phases()[-1]
    generator = {n for g in phase.generator for n in g.networks}
    discriminator = {n for g in phase.discriminator for n in g.networks}
    assert not generator & discriminator

    for network_name, network in recipe.networks.items():  # as the trainer does: the other side is frozen
        network.requires_grad_(network_name in generator)
    losses, fakes = recipe.generator_losses(batch, 0)
    assert all(v.ndim == 0 and v.isfinite() for v in losses.values()), losses
    sum(losses.values()).backward()
    assert networks_with_gradients(recipe) == generator
    if not discriminator:
        return

    recipe.zero_grad(set_to_none=True)
    recipe.requires_grad_(True)
    assert fakes
    assert all(v.shape[1:] == (3, 32, 32) for v in fakes.values())
    of_discriminator = recipe.discriminator_losses(batch, {k: v.detach() for k, v in fakes.items()}, 0)
    assert all(v.ndim == 0 and v.isfinite() for v in of_discriminator.values()), of_discriminator
    sum(of_discriminator.values()).backward()
    assert networks_with_gradients(recipe) == discriminator
    assert all(p.grad is None for n in generator for p in recipe.networks[n].parameters())


@each
def test_fakes_without_the_generators_losses_are_the_same(name: str) -> None:
    recipe = tiny(name)
    batch, step = batch_for(recipe), 0
    torch.manual_seed(3)
    _, expected = recipe.generator_losses(batch, step)
    torch.manual_seed(3)
    with torch.no_grad():
        fakes = recipe.fakes(batch, step)
    assert set(fakes) == set(expected)
    for key, fake in fakes.items():
        assert not fake.requires_grad
        torch.testing.assert_close(fake, expected[key].detach(), rtol=1e-4, atol=1e-5, msg=key)


@each
def test_every_translation_can_be_asked_to_be_steady(name: str) -> None:
    recipe = tiny(name, every_term=True)
    if recipe.kind is not Kind.TRANSLATE:
        pytest.skip("makes pictures from latents")
    assert not [k for k in tiny(name).generator_losses(batch_for(recipe), 0)[0] if "consistency" in k]
    losses, _ = recipe.generator_losses(batch_for(recipe), 0)
    asked = {f"{kind}_consistency" for kind in ("noise", "shift", "warp")}
    assert asked <= set(losses)
    translating = {n for n in recipe.inference_networks if "backward" not in n}
    for term in asked:
        recipe.zero_grad(set_to_none=True)
        losses[term].backward(retain_graph=True)
        assert losses[term] > 0
        assert networks_with_gradients(recipe) == translating


@each
@both
def test_losses_work_under_bf16_autocast(name: str, every_term: bool) -> None:
    recipe = tiny(name, every_term)
    batch = batch_for(recipe)
    exact, _ = tiny(name, every_term).generator_losses(batch, 0)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        losses, fakes = recipe.generator_losses(batch, 0)
        if recipe.phases()[-1].discriminator:
            losses |= recipe.discriminator_losses(batch, {k: v.detach() for k, v in fakes.items()}, 0)
    assert all(v.dtype == torch.float32 and v.isfinite() for v in losses.values()), losses
    assert set(exact) <= set(losses)
    sum(losses.values()).backward()


@each
def test_a_step_lowers_its_own_objective(name: str) -> None:
    recipe = tiny(name)
    batch = batch_for(recipe)
    phase = recipe.phases()[-1]
    values = []
    for _ in range(2):
        torch.manual_seed(7)
        before = copy.deepcopy(recipe.state_dict())
        losses, _ = recipe.generator_losses(batch, 0)
        values.append(sum(v.item() for v in losses.values()))
        recipe.load_state_dict(before)  # power iterations of this look are undone
        torch.manual_seed(7)
        train_step(recipe, batch, 0, Phase("g", None, phase.generator), rate=1e-4)
    assert values[1] < values[0]


@each
def test_equal_seeds_give_equal_training(name: str) -> None:
    ends = []
    for _ in range(2):
        recipe = tiny(name, every_term=True)
        for step in range(2):
            train_step(recipe, batch_for(recipe, step), step, recipe.phases()[-1])
        ends.append(recipe.state_dict())
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])


@each
@both
def test_state_saves_and_training_continues_exactly(name: str, every_term: bool) -> None:
    recipe = tiny(name, every_term)
    phase = recipe.phases()[-1]
    train_step(recipe, batch_for(recipe), 0, phase)
    saved, rng = safetensors.torch.save(recipe.state_dict()), torch.get_rng_state()

    resumed = tiny(name, every_term)
    resumed.load_state_dict(safetensors.torch.load(saved))
    content = batch_for(recipe).content
    recipe.eval(), resumed.eval()  # as inference has them: without dropout
    assert torch.equal(resumed.translate(content, Conditions()), recipe.translate(content, Conditions()))
    for each_recipe in (recipe.train(), resumed.train()):
        torch.set_rng_state(rng)
        for step in (1, 2):
            train_step(each_recipe, batch_for(recipe, step), step, phase)
    expected = recipe.state_dict()
    for key, value in resumed.state_dict().items():
        assert torch.equal(value, expected[key]), key


@each
def test_translates_any_size_in_range_whatever_the_precision(name: str) -> None:
    recipe = tiny(name).eval()
    if recipe.kind is not Kind.TRANSLATE:
        pytest.skip("makes pictures from latents")
    before = copy.deepcopy(recipe.state_dict())
    for height, width in ((32, 32), (37, 50)):
        content = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1
        asked = conditions_for(recipe, content)
        with torch.no_grad():
            result = recipe.translate(content, asked)
            with torch.autocast("cpu", torch.bfloat16):
                autocast = recipe.translate(content, asked)
        assert result.shape == (1, 3, height * recipe.scale, width * recipe.scale)
        assert result.dtype == autocast.dtype == torch.float32
        assert result.isfinite().all()
        assert result.abs().max() <= 1.5
        assert (result - autocast).abs().max() < 0.1
    assert all(torch.equal(before[k], v) for k, v in recipe.state_dict().items()), "translating changed the state"


@each
def test_the_mask_says_where_the_style_applies(name: str) -> None:
    recipe = tiny(name).eval()
    if recipe.kind is not Kind.TRANSLATE or recipe.scale != 1:
        pytest.skip("has no source picture of the result's size")
    content = batch_for(recipe).content
    mask = torch.zeros(2, 1, 32, 32)
    mask[..., 16:] = 1
    asked = conditions_for(recipe, content)
    whole = recipe.translate(content, asked)
    part = recipe.translate(content, dataclasses.replace(asked, mask_unit=mask))
    assert not torch.equal(whole, content)
    assert torch.equal(part[..., :16], content[..., :16])
    assert torch.equal(part[..., 16:], whole[..., 16:])


def shift_error_codes(name: str, anti_aliased: bool) -> float:
    """Of a photograph, by the recipe as it begins."""
    config = config_class(name)
    torch.manual_seed(0)
    recipe = recipe_class(name)(config(**(tiny_sizes(config) | {"anti_aliased": anti_aliased}))).eval()
    photograph = load_photograph("china", 160).astype(np.float32) / np.float32(255.0)

    def translate(rgb_unit: Floats) -> Floats:
        content = torch.from_numpy(rgb_unit).permute(2, 0, 1)[None] * 2 - 1
        with torch.no_grad():
            made = recipe.translate(content, conditions_for(recipe, content))
        unit: Floats = (made[0].permute(1, 2, 0).numpy() + 1) / 2
        return unit

    return shift_error(translate, [photograph])


@each
def test_a_shift_of_the_picture_shifts_the_translation(name: str) -> None:
    if recipe_class(name).kind is not Kind.TRANSLATE:
        pytest.skip("makes pictures from latents")
    aliased, default = shift_error_codes(name, anti_aliased=False), shift_error_codes(name, anti_aliased=True)
    assert aliased > 2.0
    assert default < 0.25 * aliased
    # An untrained editor makes noise of full contrast, in which every error is large.
    assert default <= 2.0 or name == "attributes"
