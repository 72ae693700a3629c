"""Every part of the shared generator, in every recipe that is built on it, at a tiny size."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from stylegan_core.networks.shared_stem import SharedStem
from stylegan_core.recipes import config_class, list_recipes, recipe_class
from stylegan_core.recipes.base import BaseRecipe, Conditions
from stylegan_core.recipes.translator import TranslatorConfig
from tests.stylegan_core.recipes.contract import batch_for, networks_with_gradients, train_step
from tests.tiny import tiny_sizes

ON_A_TRANSLATOR = [name for name in list_recipes() if issubclass(config_class(name), TranslatorConfig)]

PARTS: dict[str, dict[str, Any]] = {
    "resnet": {"generator": "resnet"},
    "unet": {"generator": "unet", "unet_levels": 3},
    "local_generators": {"local_generators": 2},
    "shared_stem": {"shared_stem": True},
    "batch_norm": {"norm": "batch"},
    "dropout": {"dropout": 0.5},
    "all_at_once": {"generator": "unet", "local_generators": 2, "shared_stem": True, "norm": "batch", "dropout": 0.5},
}

RESNET_ALONE = {"cut"}
"""They compare what the generator encodes, which a U-Net's skips would go round."""


def build(name: str, part: str) -> BaseRecipe:
    config = config_class(name)
    values = tiny_sizes(config)
    values |= PARTS[part]
    if name in RESNET_ALONE:
        values.pop("generator", None)
    if values.get("shared_stem"):
        values["discriminator_layout"] = "patch"  # projected has features of its own
    if "fourier_features" in config.model_fields and (values.get("generator") == "unet" or values.get("shared_stem")):
        values["fourier_features"] = 0  # a resnet's first layer sees them, and a discriminator would not
    torch.manual_seed(0)
    return recipe_class(name)(config(**values)).train()


def test_there_are_recipes_on_a_translator() -> None:
    assert {"cut", "cyclegan", "pix2pix"} <= set(ON_A_TRANSLATOR)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", ON_A_TRANSLATOR)
def test_a_part_trains_and_translates_any_size(name: str, part: str) -> None:
    recipe = build(name, part)
    shared = [module for module in recipe.modules() if isinstance(module, SharedStem)]
    assert bool(shared) is bool(PARTS[part].get("shared_stem"))
    phase = recipe.phases()[-1]
    discriminator = {n for g in phase.discriminator for n in g.networks}
    _, fakes = recipe.generator_losses(batch_for(recipe), 0)
    recipe.zero_grad(set_to_none=True)
    losses = recipe.discriminator_losses(batch_for(recipe), {k: v.detach() for k, v in fakes.items()}, 0)
    sum(losses.values()).backward()  # type: ignore[union-attr]
    assert networks_with_gradients(recipe) == discriminator, (
        "the generator's own layers learn to blind their discriminator"
    )
    for step in range(2):
        made, of_discriminator = train_step(recipe, batch_for(recipe, step), step, phase, rate=1e-3)
        assert all(v.isfinite() for v in (made | of_discriminator).values())
    recipe.eval()
    with torch.no_grad():
        for size in ((32, 32), (37, 50)):
            result = recipe.translate(torch.rand(1, 3, *size) * 2 - 1, Conditions())
            assert result.shape == (1, 3, *size)
            assert result.isfinite().all()
