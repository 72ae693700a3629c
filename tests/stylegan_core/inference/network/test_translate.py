from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from stylegan_core.inference.network.receptive_field import bytes_per_pixel
from stylegan_core.inference.network.tiling import Tiling
from stylegan_core.inference.network.translate import translate_batch_unit, translate_unit
from stylegan_core.recipes.base import BaseRecipe, Kind, Needs, RecipeConfig


class Inverter(BaseRecipe):
    """x -> -x by a 1x1 convolution: what translate must give is known exactly."""

    kind, needs, paper = Kind.TRANSLATE, Needs(), "none"

    def __init__(self, config=None):
        super().__init__(config or RecipeConfig())
        layer = nn.Conv2d(3, 3, 1, bias=False)
        layer.weight.data = -torch.eye(3)[:, :, None, None]
        self.networks["generator"] = layer
        self.seen = []

    def translate(self, content, conditions):
        self.seen.append(tuple(content.shape))
        return self.networks["generator"](content)


class Doubler(Inverter):
    scale = 2

    def translate(self, content, conditions):
        return nn.functional.interpolate(content, scale_factor=2, mode="nearest")


def picture(height=37, width=53):
    return np.random.default_rng(0).random((height, width, 3), dtype=np.float32)


def model(recipe=None):
    return SimpleNamespace(recipe=recipe or Inverter())


@pytest.mark.parametrize(("height", "width"), [(37, 53), (64, 40), (1, 1), (2, 200)])
def test_any_size_comes_back_inverted_at_its_size(height, width):
    given = picture(height, width)
    used = model()
    result = translate_unit(used, given)
    assert result.shape == given.shape
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, 1 - given, atol=1e-6)
    assert all(side % 8 == 0 and side >= 32 for side in used.recipe.seen[0][2:])


def test_strength_and_mask_interpolate_and_zero_is_exact():
    given, mask = picture(), np.zeros((37, 53), np.float32)
    mask[:, 30:] = 0.25
    assert np.array_equal(translate_unit(model(), given, strength=0.0), given)
    result = translate_unit(model(), given, strength=0.5, mask_unit=mask)
    assert np.array_equal(result[:, :30], given[:, :30])
    np.testing.assert_allclose(result[:, 30:], given[:, 30:] + 0.125 * (1 - 2 * given[:, 30:]), atol=1e-6)


def test_bf16_is_near_fp32_and_comes_back_as_float32():
    given = picture()
    result = translate_unit(model(), given, precision="bf16")
    assert result.dtype == np.float32
    assert 0 < np.abs(result - (1 - given)).max() < 1 / 128


def test_a_model_that_enlarges():
    given = picture(10, 21)
    result = translate_unit(model(Doubler()), given)
    np.testing.assert_allclose(result, given.repeat(2, 0).repeat(2, 1), atol=1e-6)
    with pytest.raises(ValueError, match="keeps the size"):
        translate_unit(model(Doubler()), given, strength=0.5)


def test_a_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"\(N, H, W, 3\)"):
        translate_batch_unit(Inverter(), np.zeros((4, 4, 3), np.float32))


def test_a_large_picture_in_tiles_is_the_whole_one(tiny_model, monkeypatch):
    given = picture(150, 203)
    whole = translate_unit(tiny_model, given)
    calls, plain = [], type(tiny_model.recipe).translate

    def watched(self, content, conditions):
        calls.append(tuple(content.shape[2:]))
        return plain(self, content, conditions)

    monkeypatch.setattr(type(tiny_model.recipe), "translate", watched)
    used = Tiling(most_whole_px=100, tile_bytes=120 * 120 * bytes_per_pixel(tiny_model.recipe))
    tiled = translate_batch_unit(tiny_model.recipe, given[None], tiling=used)[0]
    assert calls.count((96, 120)) == 2 * 2
    np.testing.assert_allclose(tiled, whole, atol=2e-6)
