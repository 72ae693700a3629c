"""Recipes at a tiny size, with random weights, and recipes that are one function."""

import torch
from torch import nn

from stylegan_core.recipes import config_class, recipe_class
from stylegan_core.recipes.base import BaseRecipe, Kind, Needs, RecipeConfig
from tests.tiny import tiny_sizes


def build(name, **settings):
    config = config_class(name)
    torch.manual_seed(0)
    return recipe_class(name)(config(**(tiny_sizes(config) | settings))).eval()


def uneven(name, **settings):
    """A recipe whose norm layers have something to do: offsets and gains unlike zero and one."""
    recipe = build(name, **settings)
    generator = torch.Generator().manual_seed(2)
    for module in recipe.networks.modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            module.bias.data = torch.randn(module.bias.shape, generator=generator)
        if isinstance(module, nn.InstanceNorm2d) and module.affine:
            module.weight.data = torch.rand(module.weight.shape, generator=generator) + 0.5
            module.bias.data = torch.randn(module.bias.shape, generator=generator) / 4
    return recipe


class FunctionRecipe(BaseRecipe):
    """A recipe that is one function."""

    kind, needs, paper = Kind.TRANSLATE, Needs(), "none"

    def __init__(self, function, scale=1):
        super().__init__(RecipeConfig())
        self.networks["generator"] = nn.Conv2d(3, 3, 1)
        self.function, self.scale = function, scale

    def translate(self, content, conditions):
        return self.function(content)
