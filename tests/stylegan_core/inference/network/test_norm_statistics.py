import numpy as np
import pytest
import torch
from torch import nn

from stylegan_core.inference.network import measure_norm_statistics as measure_statistics
from stylegan_core.inference.network.measure_norm_statistics import choose_frames, measure
from stylegan_core.inference.network.norm_statistics import (
    Statistics,
    StatisticsError,
    encode_statistics,
    freeze,
    instance_norms,
    norm_layers,
    read_statistics,
)
from stylegan_core.inference.network.receptive_field import receptive_field
from stylegan_core.inference.network.tiling import Tiling
from stylegan_core.inference.network.translate import translate_batch_unit
from stylegan_core.recipes.base import Conditions
from tests.stylegan_core.inference.network.frames import frames, opened
from tests.stylegan_core.inference.network.recipes import build, uneven

NORMED = [
    ("cut", {}),
    ("cut", {"blocks": 2, "downsamplings": 1, "padding": "zeros"}),
    ("pix2pix", {"generator": "unet", "crop_px": 16, "norm": "instance"}),
    ("attributes", {"norm": "instance"}),
]
each = pytest.mark.parametrize(("name", "settings"), NORMED)


def labels_for(recipe):
    wanted = torch.ones(1, 1) if "labels" in recipe.conditioned_on else None
    return Conditions(labels=wanted)


@each
def test_statistics_of_one_picture_give_what_its_own_norm_gave(name, settings):
    recipe, given = uneven(name, **settings), frames((48, 64))
    conditions = labels_for(recipe)
    plain = translate_batch_unit(recipe, given[0].pixels[None], conditions=conditions)
    statistics = measure(recipe, opened(given), conditions)
    frozen = freeze(recipe, statistics)
    assert not instance_norms(frozen)
    assert instance_norms(recipe), "the recipe itself has to stay as it was"
    np.testing.assert_allclose(
        translate_batch_unit(frozen, given[0].pixels[None], conditions=conditions), plain, atol=5e-6
    )
    assert np.abs(plain - given[0].pixels).max() > 0.1


@each
def test_folded_norms_leave_no_layer_where_a_convolution_comes_before(name, settings):
    recipe = uneven(name, **settings)
    conditions = labels_for(recipe)
    frozen = freeze(recipe, measure(recipe, opened(frames((48, 64))), conditions))
    assert not [m for m in frozen.networks.modules() if isinstance(m, nn.BatchNorm2d)]


def test_a_norm_without_a_convolution_before_it_becomes_an_affine_layer():
    recipe, given = uneven("cut"), frames((48, 64))
    generator = recipe.networks["generator"]
    generator.tail = nn.Sequential(nn.ReLU(), nn.InstanceNorm2d(4, affine=True))
    plain = translate_batch_unit(recipe, given[0].pixels[None])
    frozen = freeze(recipe, measure(recipe, opened(given)))
    assert isinstance(frozen.networks["generator"].tail[1], nn.BatchNorm2d)
    np.testing.assert_allclose(translate_batch_unit(frozen, given[0].pixels[None]), plain, atol=5e-6)


def test_statistics_are_those_of_all_pictures_together_behind_frozen_layers():
    recipe, given = uneven("cut"), frames((48, 64), (48, 64))
    statistics = measure(recipe, opened(given))
    names = [*norm_layers(recipe)]
    assert names[0] == "generator.stem.1"
    assert [*statistics.layers] == names
    assert len(names) == 7
    seen = {}
    frozen = freeze(recipe, Statistics(dict([*statistics.layers.items()][:4])))  # the fifth behind those before it
    frozen.networks.get_submodule(names[4]).register_forward_pre_hook(lambda _, inputs: seen.update(x=inputs[0]))
    translate_batch_unit(frozen, np.stack([each.pixels for each in given]))
    values = seen["x"].double()
    np.testing.assert_allclose(statistics.layers[names[4]][0], values.mean((0, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(statistics.layers[names[4]][1], values.var((0, 2, 3), unbiased=False), rtol=1e-5)


@pytest.mark.parametrize(("name", "settings"), NORMED[:3])
def test_layer_by_layer_in_tiles_finds_the_same_with_little_in_memory(name, settings):
    recipe, given = uneven(name, **settings), frames((203, 330), (203, 330))
    together = measure(recipe, opened(given))
    assert all(each.most_rows == 203 for each in given)
    for each in given:
        each.most_rows = 0
    passes = []
    apart = measure(
        recipe, opened(given), whole_bytes=1, tile_bytes=1, progress=lambda done, of: passes.append((done, of))
    )
    assert passes == [(n + 1, len(apart.layers)) for n in range(len(apart.layers))]
    assert all(each.most_rows < 203 for each in given)
    for key, moments in together.layers.items():
        np.testing.assert_allclose(apart.layers[key], moments, rtol=2e-5, atol=2e-6)


def test_pictures_of_unlike_sizes_are_measured_together():
    recipe, given = uneven("cut"), frames((64, 96), (128, 64))
    statistics = measure(recipe, opened(given))
    first = norm_layers(recipe)
    assert [*statistics.layers] == [*first]


@pytest.mark.parametrize("name", ["cut", "pix2pix"])
def test_frozen_networks_have_exact_tiles(name):
    recipe, given = uneven(name), frames((203, 330))
    assert receptive_field(recipe) is None
    frozen = freeze(recipe, measure(recipe, opened(given)))
    assert receptive_field(frozen) is not None
    batch = given[0].pixels[None]
    whole = translate_batch_unit(frozen, batch)
    tiled = translate_batch_unit(frozen, batch, tiling=Tiling(most_whole_px=1, tile_bytes=1))
    assert np.abs(tiled - whole).max() < 1e-5 < np.abs(whole - batch).max()


def test_the_direction_decides_which_network_is_measured():
    recipe = uneven("cyclegan")
    assert all(name.startswith("forward_generator.") for name in norm_layers(recipe))
    assert all(name.startswith("backward_") for name in norm_layers(recipe, Conditions(direction="backward")))


def test_recipes_without_instance_norm_have_none_to_freeze():
    assert measure(build("keyframe"), opened(frames((32, 32)))).layers == {}
    twice = build("cut")
    twice.translate = lambda content, conditions: twice.networks["generator"](twice.networks["generator"](content))
    assert norm_layers(twice) == {}


def test_files_keep_every_bit_and_others_are_refused(tmp_path):
    measured = measure(uneven("cut"), opened(frames((48, 64))))
    statistics = Statistics(measured.layers, "abc", "def", {"a.png": "12"})
    (tmp_path / "s.safetensors").write_bytes(encode_statistics(statistics))
    again = read_statistics(tmp_path / "s.safetensors")
    assert again.digest == statistics.digest == measured.digest
    assert (again.model, again.settings, again.frames) == ("abc", "def", {"a.png": "12"})
    assert [*again.layers] == [*statistics.layers]
    (tmp_path / "other").write_bytes(b"no statistics")
    for path in (tmp_path / "other", tmp_path / "missing"):
        with pytest.raises(StatisticsError, match="is not a file of norm statistics"):
            read_statistics(path)
    with pytest.raises(StatisticsError, match="another model"):
        freeze(uneven("cut", channels=8), statistics)
    with pytest.raises(StatisticsError, match="another model"):
        freeze(build("keyframe"), statistics)
    apart = measure(uneven("cut"), opened(frames((48, 72))))
    assert apart.digest != statistics.digest


def test_frames_are_chosen_over_the_whole_shot():
    assert choose_frames(48, 256 * 160) == [4, 14, 24, 33, 43]
    assert choose_frames(1, 100) == [0]
    assert choose_frames(3, 100) == [0, 1, 2]
    assert choose_frames(100, 1920 * 1080) == [25, 75]
    assert choose_frames(100, 7680 * 4320) == [50]
    assert choose_frames(100, 7680 * 4320, wanted=3) == [16, 50, 83]


def test_moments_of_pieces_are_those_of_the_whole_far_from_zero():
    values = torch.randn(3, 4, 20, 30, generator=torch.Generator().manual_seed(0)) * 0.01 + 100
    pieces = measure_statistics._Moments()
    for piece in (values[:1], values[1:, :, :7], values[1:, :, 7:]):
        pieces.add(piece)
    mean, variance = pieces.result()
    np.testing.assert_allclose(mean, values.double().mean((0, 2, 3)), rtol=1e-9)
    np.testing.assert_allclose(variance, values.double().var((0, 2, 3), unbiased=False), rtol=1e-6)
