"""Recipes: one paper, one file; the module's name is the recipe's name in params.yaml."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from stylegan_core.recipes.base import BaseRecipe, RecipeConfig

_NOT_RECIPES = {"adversary", "base", "model", "steadiness", "translator", "weak_supervision"}


def list_recipes() -> list[str]:
    """Names of the recipes, sorted: the modules of this package that define ``Recipe``."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in _NOT_RECIPES)


def recipe_class(name: str) -> type[BaseRecipe]:
    """The ``Recipe`` class of the module ``name``.

    Raises:
        ValueError: unknown name; the message lists the known ones.
    """
    return _module_attribute(name, "Recipe")  # type: ignore[no-any-return]


def config_class(name: str) -> type[RecipeConfig]:
    """The ``Config`` class of the module ``name``.

    Raises:
        ValueError: unknown name; the message lists the known ones.
    """
    return _module_attribute(name, "Config")  # type: ignore[no-any-return]


def _module_attribute(name: str, attribute: str) -> Any:
    if name not in list_recipes():
        raise ValueError(f"unknown recipe {name!r}; the recipes are: {', '.join(list_recipes())}")
    return getattr(importlib.import_module(f"{__name__}.{name}"), attribute)
