from dataclasses import replace

import pytest
import torch

from stylegan_core.data.batch import Batch
from stylegan_core.recipes import config_class, recipe_class
from stylegan_core.recipes.base import BaseRecipe, Needs

NAMES = ("cut", "cyclegan")
SIZES = {"crop_px": 32, "channels": 4, "blocks": 1, "discriminator_channels": 4, "discriminator_layers": 1}


def build(name: str, **settings: object) -> BaseRecipe:
    torch.manual_seed(0)
    return recipe_class(name)(config_class(name)(**(SIZES | settings)))


def crops(seed: int, count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


PLAIN = Batch(crops(0), crops(1))
KNOWN = replace(PLAIN, known_content=crops(2), known_style=crops(3))


def losses_of(recipe: BaseRecipe, batch: Batch) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return recipe.generator_losses(batch, 0)[0]


@pytest.mark.parametrize("name", NAMES)
def test_known_pairs_are_asked_for_by_the_setting_alone(name: str) -> None:
    recipe, config = recipe_class(name), config_class(name)
    assert recipe.needs_with(config()) == recipe.needs == Needs()
    assert recipe.needs_with(config(known_fraction=0.1)) == Needs(known_fraction=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_objective_is_a_mixture(name: str) -> None:
    recipe = build(name, supervision_lambda=0.25)
    plain, mixed = losses_of(recipe, PLAIN), losses_of(recipe, KNOWN)
    assert set(mixed) == {*plain, "supervised"}
    for term, value in plain.items():
        torch.testing.assert_close(mixed[term], 0.25 * value, msg=term)
    forward = next(network for network in recipe.networks.values())
    distance = (forward(KNOWN.known_content) - KNOWN.known_style).abs().mean()
    if name == "cyclegan":
        backward = recipe.networks["backward_generator"]
        distance = distance + (backward(KNOWN.known_style) - KNOWN.known_content).abs().mean()
    torch.testing.assert_close(mixed["supervised"], 0.75 * distance)


@pytest.mark.parametrize("name", NAMES)
def test_lambda_zero_is_supervision_alone_and_one_is_none(name: str) -> None:
    alone = losses_of(build(name, supervision_lambda=0.0), KNOWN)
    assert all((value == 0) == (term != "supervised") for term, value in alone.items())
    assert losses_of(build(name, supervision_lambda=1.0), KNOWN)["supervised"] == 0


@pytest.mark.parametrize("name", NAMES)
def test_known_pairs_are_learned(name: str) -> None:
    """With supervision alone a few steps bring the translation nearer to the truth of known content."""
    recipe = build(name, supervision_lambda=0.0, norm="none", output="residual")
    groups = recipe.phases()[-1].generator
    parameters = [p for g in groups for n in g.networks for p in recipe.networks[n].parameters()]
    adam = torch.optim.Adam(parameters, lr=5e-3)
    batch = replace(PLAIN, known_content=crops(2), known_style=crops(2) + 0.4)
    distances = []
    for step in range(8):
        losses, _ = recipe.generator_losses(batch, step)
        distances.append(losses["supervised"].item())
        adam.zero_grad()
        sum(losses.values()).backward()
        adam.step()
    assert distances[-1] < 0.8 * distances[0]
