"""Recipes: one paper, one file; the module's name is the recipe's name in params.yaml.

``base`` is the contract of all recipes; ``pix2pix`` is a short example of one.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from functools import cache
from pathlib import Path
from typing import Any

from stylegan_core.recipes.base import BaseRecipe, RecipeConfig


def list_recipes() -> list[str]:
    """Names of the recipes, sorted: the modules here that define a class ``Recipe``; none of them is imported."""
    return sorted(name for folder in __path__ for name in _recipes_in(Path(folder)))


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


@cache
def _recipes_in(folder: Path) -> tuple[str, ...]:
    """Modules in ``folder`` with a class ``Recipe`` at the top level, by their syntax trees."""
    names = [module.name for module in pkgutil.iter_modules([str(folder)])]
    return tuple(name for name in names if _defines_recipe(folder / f"{name}.py"))


def _defines_recipe(path: Path) -> bool:
    body = ast.parse(path.read_bytes()).body if path.is_file() else []
    return any(isinstance(node, ast.ClassDef) and node.name == "Recipe" for node in body)
