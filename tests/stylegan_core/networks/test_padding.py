"""The padding rule against numpy's reflection, and that translation and validation share it."""

import numpy as np
import pytest
import torch

from stylegan_core.data.manifest import Box
from stylegan_core.data.validation import ValidationArea
from stylegan_core.inference.network.translate import translate_signed
from stylegan_core.networks.padding import MINIMUM_PX, MULTIPLE_PX, pad_reflected, pad_to_multiple, padded_side
from stylegan_core.training.validation import translate


def noise(height, width):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height)) * 2 - 1


@pytest.mark.parametrize("side", [1, 2, 3, 9])
def test_reflection_is_numpys(side):
    given = noise(side, side + 1)
    padded = pad_reflected(given, 7, 12)[0].permute(1, 2, 0).numpy()
    expected = np.pad(given[0].permute(1, 2, 0).numpy(), ((0, 7), (0, 12), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(padded, expected)


@pytest.mark.parametrize(("side", "padded"), [(1, 32), (31, 32), (32, 32), (33, 40), (40, 40), (41, 48)])
def test_sides_are_multiples_and_not_too_short(side, padded):
    assert padded_side(side) == padded
    assert padded % MULTIPLE_PX == 0
    assert padded >= MINIMUM_PX


@pytest.mark.parametrize(("height", "width"), [(160, 256), (33, 70), (9, 100), (3, 5)])
def test_translation_and_validation_show_a_network_the_same_picture(height, width):
    class Recorder(torch.nn.Module):
        scale = 1
        guided = False

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))
            self.networks = torch.nn.ModuleDict()
            self.shown = []

        def translate(self, content, conditions):
            self.shown.append(content.clone())
            return content

    content, recipe = noise(height, width), Recorder()
    translate_signed(recipe, content)
    area = ValidationArea("a", content, None, None, Box(0, 0, width, height))
    assert torch.equal(translate(recipe, area), content)
    in_translation, in_validation = recipe.shown
    assert torch.equal(in_translation, in_validation)
    assert torch.equal(in_translation, pad_to_multiple(content))
