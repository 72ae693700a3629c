"""``stylereel recipes``: which there are, what each needs, and its settings for a machine."""

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
    """Adds the command, by the command line's own decorator."""
    command("recipes", _EXAMPLES)(recipes)


def recipes(
    name: Annotated[str | None, typer.Argument(help="Show the settings of this one.")] = None,
    preset: Annotated[
        str | None, typer.Option(help="For two_cores, one_gpu, or as the paper has them. Default: two_cores.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Put them into params.yaml, and train this recipe from now on.")
    ] = False,
) -> Any:
    """List the recipes, what each needs, its presets and its paper; or show the settings of one.

    --write keeps the values of all other sections and the shots, but not your own comments outside of them.
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
            typer.echo(_ROW.format(recipe, needs_in_words(recipe), ", ".join(found.presets) or "none", found.paper))
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
        raise UsageError("here is no params.yaml: go to a project, or make one with `stylereel init FOLDER`")
    write_params(place, with_preset(place.read_text(encoding="utf-8"), name, chosen))
    typer.echo(f"{place} now trains {name} with the preset {chosen}; it needs {needs_in_words(name)}")


def needs_in_words(recipe: str) -> str:
    """What training needs, and what a translation is directed by."""
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
