"""Recipes are found by their class, without importing them."""

import subprocess
import sys

import pytest

import stylegan_core.recipes as package
from stylegan_core.recipes import config_class, list_recipes, recipe_class
from stylegan_core.recipes.base import BaseRecipe, RecipeConfig


def test_each_name_has_both_classes():
    assert list_recipes() == ["attributes", "cut", "cyclegan", "keyframe", "perceptual", "pix2pix", "swap", "unpaired"]
    for name in list_recipes():
        assert issubclass(recipe_class(name), BaseRecipe)
        assert issubclass(config_class(name), RecipeConfig)


def test_a_module_is_a_recipe_when_it_defines_the_class(tmp_path, monkeypatch):
    contents = {
        "mine": "raise RuntimeError('imported')\nclass Recipe(BaseRecipe):\n    pass\n",
        "helper": "from stylegan_core.recipes.keyframe import Recipe\nclass Config: ...\n",
        "nested": "def build():\n    class Recipe: ...\n",
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.py").write_text(content)
    (tmp_path / "notes.txt").write_text("class Recipe:")
    monkeypatch.setattr(package, "__path__", [str(tmp_path)])
    assert list_recipes() == ["mine"]


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown recipe 'base'; the recipes are: attributes, cut, cyclegan"):
        recipe_class("base")


def test_listing_imports_no_recipe():
    code = (
        "import sys; from stylegan_core.recipes import list_recipes; names = list_recipes(); "
        "assert len(names) > 5; assert not [n for n in names if f'stylegan_core.recipes.{n}' in sys.modules]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
