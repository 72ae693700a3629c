"""A guided network: seven channels through padding, tiles, back ends and strength."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from stylegan_core.inference.network.backends import compile as module
from stylegan_core.inference.network.precision import probe_input
from stylegan_core.inference.network.receptive_field import receptive_field
from stylegan_core.inference.network.tiling import Tiling
from stylegan_core.inference.network.translate import translate_batch_unit, translate_unit
from stylegan_core.recipes.base import Conditions
from stylegan_core.recipes.keyframe import Config, Recipe


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    torch.manual_seed(0)
    return Recipe(Config(channels=4, blocks=1, guide=True)).eval().requires_grad_(False)


def guided_unit(height: int, width: int, count: int = 1) -> np.ndarray:
    return np.random.default_rng(0).random((count, height, width, 7), dtype=np.float32)


def test_tiles_equal_the_whole_with_the_guide_cut_alike(recipe: Recipe) -> None:
    batch = guided_unit(150, 230)
    whole = translate_batch_unit(recipe, batch)
    window = receptive_field(recipe)
    assert window is not None
    tiles = translate_batch_unit(recipe, batch, tiling=Tiling(most_whole_px=1, tile_bytes=1))
    assert np.abs(tiles - whole).max() < 1e-5
    other = batch.copy()
    other[..., 3:] = 0.5
    assert np.abs(translate_batch_unit(recipe, other) - whole).max() > 0.1


def test_strength_and_mask_blend_with_the_picture(recipe: Recipe) -> None:
    batch, model = guided_unit(33, 45)[0], SimpleNamespace(recipe=recipe)
    assert np.array_equal(translate_unit(model, batch, strength=0.0), batch[..., :3])
    half = np.zeros(batch.shape[:2], np.float32)
    half[:, :20] = 1.0
    result = translate_unit(model, batch, mask_unit=half)
    assert np.array_equal(result[:, 20:], batch[:, 20:, :3])


def test_a_picture_alone_has_no_guide(recipe: Recipe) -> None:
    batch = guided_unit(40, 48)
    without = batch.copy()
    without[..., 3:6], without[..., 6] = 0.5, 0.0
    made = translate_batch_unit(recipe, batch[..., :3])
    np.testing.assert_allclose(made, translate_batch_unit(recipe, without), atol=1e-6)


def test_other_channels_are_refused(recipe: Recipe) -> None:
    with pytest.raises(ValueError, match=r"\(N, H, W, 7\), got \(1, 8, 8, 4\)"):
        translate_batch_unit(recipe, np.zeros((1, 8, 8, 4), np.float32))
    plain = Recipe(Config(channels=4, blocks=1, guide=False)).eval()
    with pytest.raises(ValueError, match=r"\(N, H, W, 3\)"):
        translate_batch_unit(plain, guided_unit(8, 8))


@pytest.mark.parametrize("back_end", ["openvino", "onnxruntime"])
def test_back_ends_take_all_channels(recipe: Recipe, back_end: module.BackEnd) -> None:
    if module.missing_packages(back_end):
        pytest.skip(f"{back_end} is not installed")
    batch = guided_unit(40, 64)
    run = module.runner(recipe, Conditions(), back_end, "fp32")
    made, expected = translate_batch_unit(recipe, batch, run=run), translate_batch_unit(recipe, batch)
    assert np.abs(made - expected).max() < 1e-4


def test_the_probe_of_precisions_has_a_guide(recipe: Recipe) -> None:
    probe = probe_input(recipe, 32)
    assert probe.shape == (32, 32, 7)
    assert (probe[..., 6].min(), probe[..., 6].max()) == (0.0, 1.0)
