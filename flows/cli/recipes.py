"""``stylereel recipes``: the recipes, what data each needs, and its settings for a machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from stylegan_core.recipes.base import BaseRecipe

_EXAMPLES = """
stylereel recipes
stylereel recipes cut --preset one_gpu
stylereel recipes pix2pix --preset two_cores --write
"""
_ROW = "{:<12} {:<37} {:<27} {}"


def register(command: Callable[..., Callable[[Callable[..., object]], object]]) -> None:
    """Registers the command with the decorator of the command line."""
    command("recipes", _EXAMPLES)(recipes)


def recipes(
    name: Annotated[str | None, typer.Argument(help="Show the settings of this recipe.")] = None,
    preset: Annotated[str | None, typer.Option(help="two_cores, one_gpu or paper. Default: two_cores.")] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write the settings to params.yaml and train this recipe.")
    ] = False,
) -> Any:
    """List the recipes with their needs, presets and papers; or show the settings of one.

    --write keeps the values of all other sections and the shots, but not your own comments outside of the shots.
    """
    from stylegan_core.recipes import list_recipes, recipe_class
    from tasks.project.params_file import PRESETS, preset_values, recipe_settings, with_preset, write_params
    from tasks.shared.errors import UsageError

    if name is None:
        if preset or write:
            raise UsageError("name a recipe: stylereel recipes NAME --preset two_cores --write")
        typer.echo(_ROW.format("recipe", "needs", "presets", "paper"))
        for recipe in list_recipes():
            found = recipe_class(recipe)
            typer.echo(_ROW.format(recipe, describe_needs(recipe), ", ".join(found.presets) or "none", found.paper))
        return
    if name not in list_recipes():
        raise UsageError(f"unknown recipe {name!r}; the recipes are: {', '.join(list_recipes())}")
    chosen = next((known for known in PRESETS if known == (preset or PRESETS[0])), None)
    if chosen is None:
        raise UsageError(f"unknown preset {preset!r}; the presets are: {', '.join(PRESETS)}")
    if not write:
        typer.echo(recipe_settings(name, preset_values(name, chosen)))
        return
    place = Path("params.yaml")
    if not place.is_file():
        raise UsageError("no params.yaml here: go to a project, or create one with `stylereel init FOLDER`")
    write_params(place, with_preset(place.read_text(encoding="utf-8"), name, chosen))
    typer.echo(f"{place} now trains {name} with the preset {chosen}; it needs {describe_needs(name)}")


def describe_needs(recipe: str) -> str:
    """What training needs, and what a translation is conditioned on."""
    from stylegan_core.recipes import config_class, recipe_class

    found: type[BaseRecipe] = recipe_class(recipe)
    needs = found.needs_with(config_class(recipe)())
    if needs.paired:
        words = "before/after pairs"
    elif needs.content and needs.style:
        words = "two folders, no pairs"
    else:
        words = "one folder"
    if needs.labels:
        words += " and labels"
    return words + (" (+ references)" if "styles" in found.conditioned_on else "")
