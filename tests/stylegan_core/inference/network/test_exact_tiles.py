"""Every recipe: whether its tiles equal the whole picture, as docs/tiles.md says, and that they do."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from stylegan_core.inference.conditioning.conditions import accepts_strength
from stylegan_core.inference.network.measure_norm_statistics import frozen_field, measure
from stylegan_core.inference.network.norm_statistics import freeze, instance_norms, norm_layers
from stylegan_core.inference.network.receptive_field import receptive_field
from stylegan_core.inference.network.tiling import Tiling
from stylegan_core.inference.network.translate import translate_batch_unit
from stylegan_core.recipes import config_class, list_recipes, recipe_class
from stylegan_core.recipes.base import BaseRecipe, Conditions, Kind
from tests.stylegan_core.inference.network.frames import frames, opened
from tests.stylegan_core.recipes.contract import conditions_for
from tests.tiny import tiny_sizes

TABLE = Path(__file__).parents[4] / "docs" / "tiles.md"
TRANSLATORS = [name for name in list_recipes() if recipe_class(name).kind is Kind.TRANSLATE]
EXACT, FROZEN, APPROXIMATE = "equal", "equal with frozen statistics", "approximate only"


def built(name: str, **settings: object) -> BaseRecipe:
    torch.manual_seed(0)
    recipe = recipe_class(name)(config_class(name)(**settings)).eval()
    for network in [n for n in recipe.networks if n not in recipe.inference_networks]:
        del recipe.networks[network]
    return recipe


def asked_of(recipe: BaseRecipe) -> Conditions:
    content = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        return recipe.prepare_conditions(conditions_for(recipe, content))


def kind_of_tiles(recipe: BaseRecipe) -> tuple[str, str]:
    """As the table has it: how tiles are, and what they look at beyond their border."""
    conditions = asked_of(recipe)
    field, kind = receptive_field(recipe, conditions), EXACT
    if field is None:
        field, kind = frozen_field(recipe, conditions), FROZEN
    return (APPROXIMATE, "") if field is None else (kind, f"{field.halo_px} px")


def variants() -> list[tuple[str, dict[str, object], str]]:
    """Each recipe as it is by default, and without norm layers where that is a setting."""
    found: list[tuple[str, dict[str, object], str]] = []
    for name in TRANSLATORS:
        fields = config_class(name).model_fields
        found.append((name, {}, name))
        if "norm" in fields and fields["norm"].default != "none":
            found.append((name, {"norm": "none"}, f"{name}, norm: none"))
    return found


@pytest.mark.parametrize(("name", "settings", "shown"), variants(), ids=str)
def test_the_table_says_what_holds(name: str, settings: dict[str, object], shown: str) -> None:
    narrow = {"channels": 4} if "channels" in config_class(name).model_fields else {}  # looks as far, in less time
    kind, halo = kind_of_tiles(built(name, **narrow, **settings))
    rows = [re.split(r"\s*\|\s*", line.strip("| ")) for line in TABLE.read_text().splitlines() if line.startswith("| ")]
    assert [row[1:] for row in rows if row[0].strip("`") == shown] == [[kind, halo] if halo else [kind, "whole frame"]]


@pytest.mark.parametrize("name", TRANSLATORS)
@pytest.mark.parametrize("norm_free", [False, True], ids=["default", "norm_free"])
def test_tiles_equal_the_whole_to_rounding(name: str, norm_free: bool) -> None:
    config = config_class(name)
    if norm_free and "norm" not in config.model_fields:
        pytest.skip("has no such setting")
    recipe = built(name, **tiny_sizes(config), **({"norm": "none"} if norm_free else {}))
    conditions, (picture,) = asked_of(recipe), frames((547, 213))
    kind, _ = kind_of_tiles(recipe)
    if kind == FROZEN:
        assert norm_layers(recipe, conditions)
        recipe = freeze(recipe, measure(recipe, opened([picture]), conditions))
    calls, plain = [], recipe.translate

    def watched(content: torch.Tensor, given: Conditions) -> torch.Tensor:
        calls.append(tuple(content.shape))
        return plain(content, given)

    recipe.translate = watched  # type: ignore[method-assign]
    batch = picture.pixels[None]
    whole = translate_batch_unit(recipe, batch, conditions=conditions)
    receptive_field(recipe, conditions)
    calls.clear()
    tiling = Tiling(most_whole_px=1, tile_bytes=1)
    tiled = translate_batch_unit(recipe, batch, conditions=conditions, tiling=tiling)
    if kind == APPROXIMATE:
        assert calls[-1][2:] == (552, 216), "it was divided though its tiles differ"
        return
    assert len(calls) > 2
    assert np.abs(tiled - whole).max() < 1e-5
    assert np.abs(whole - batch).max() > 1e-3
    assert not (instance_norms(recipe) and norm_layers(recipe, conditions))
    assert not accepts_strength(recipe) or conditions.strength == 1.0
