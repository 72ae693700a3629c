import numpy as np
import pytest

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.inference.network.measure_norm_statistics import measure
from stylegan_core.inference.network.norm_statistics import freeze
from stylegan_core.inference.network.tiling import Tiling
from stylegan_core.inference.network.translate import network, translate_batch_unit
from stylegan_core.inference.reading.picture_rows import PictureRows
from stylegan_core.inference.render.bands import translate_in_bands
from stylegan_core.recipes.base import Conditions
from tests.stylegan_core.inference.network.frames import frames, opened
from tests.stylegan_core.inference.network.recipes import build, uneven


def small_tiles(**settings):
    return Tiling(most_whole_px=1, tile_bytes=1, **settings)


def assembled(bands, height):
    bands = [*bands]
    assert [band.begin for band in bands] == [0, *[band.end for band in bands[:-1]]]
    assert bands[-1].end == height
    assert all(len(band.before_unit) == len(band.after_unit) == band.end - band.begin for band in bands)
    return (
        np.concatenate([band.before_unit for band in bands]),
        np.concatenate([band.after_unit for band in bands]),
        len(bands),
    )


@pytest.mark.parametrize(("height", "width"), [(331, 205), (64, 331), (203, 140)])
def test_bands_equal_the_whole(height, width):
    recipe, (given,) = build("keyframe"), frames((height, width))
    before, after, count = assembled(translate_in_bands(given, recipe, Conditions(), small_tiles()), height)
    assert np.array_equal(before, given.pixels)
    np.testing.assert_allclose(after, translate_batch_unit(recipe, given.pixels[None])[0], atol=2e-6)
    assert count > 1 or height == 64
    assert given.most_rows < height or height == 64


def test_bands_with_statistics_of_the_picture_equal_instance_norm_of_the_whole():
    recipe, (given,) = uneven("cut"), frames((331, 205))
    whole = translate_batch_unit(recipe, given.pixels[None])[0]
    _, after, count = assembled(translate_in_bands(given, recipe, Conditions(), small_tiles()), 331)
    assert count > 1
    assert given.most_rows < 331
    np.testing.assert_allclose(after, whole, atol=1e-5)


def test_frozen_statistics_are_used_where_there_are_any():
    recipe, (given, other) = uneven("cut"), frames((331, 205), (128, 128))
    frozen = freeze(recipe, measure(recipe, opened([other])))
    _, after, _ = assembled(translate_in_bands(given, frozen, Conditions(), small_tiles()), 331)
    np.testing.assert_allclose(after, translate_batch_unit(frozen, given.pixels[None])[0], atol=1e-5)
    assert np.abs(after - translate_batch_unit(recipe, given.pixels[None])[0]).max() > 0.01


def test_a_network_that_needs_the_whole_picture_gets_it_unless_tiles_may_be_approximate():
    recipe, (given,) = build("swap"), frames((800, 420))
    _, after, count = assembled(translate_in_bands(given, recipe, Conditions(), small_tiles()), 800)
    whole = translate_batch_unit(recipe, given.pixels[None])[0]
    assert count == 1
    assert np.abs(after - whole).max() < 1e-5
    _, tiled, count = assembled(translate_in_bands(given, recipe, Conditions(), small_tiles(approximate=True)), 800)
    assert tiled.shape == whole.shape
    assert np.abs(tiled - whole).max() < 0.2


def test_bands_use_the_given_back_end():
    recipe, (given,), calls = build("keyframe"), frames((331, 205)), []
    inner = network(recipe, Conditions())
    _, _, count = assembled(
        translate_in_bands(given, recipe, Conditions(), small_tiles(), run=lambda x: calls.append(1) or inner(x)), 331
    )
    assert len(calls) > count > 1


def test_bf16_bands_equal_the_bf16_whole_to_its_rounding():
    recipe, (given,) = build("keyframe"), frames((331, 205))
    _, after, _ = assembled(translate_in_bands(given, recipe, Conditions(), small_tiles(), precision="bf16"), 331)
    whole = translate_batch_unit(recipe, given.pixels[None], precision="bf16")[0]
    exact = translate_batch_unit(recipe, given.pixels[None])[0]
    assert np.abs(after - whole).max() <= max(1e-6, 0.5 * np.abs(whole - exact).max())


def test_rows_are_converted_on_demand_and_refused_if_they_are_not_finite():
    pixels = np.random.default_rng(0).random((40, 30, 3)).astype(np.float32)
    seen = []

    def convert(picture):
        seen.append(picture.pixels.shape)
        return picture.pixels * 2

    rows = PictureRows(Picture(pixels, format="exr"), convert)
    assert (rows.height_px, rows.width_px) == (40, 30)
    assert np.array_equal(rows.unit(5, 9), pixels[5:9] * 2)
    assert seen == [(4, 30, 3)]
    pixels[7, 3, 1] = np.inf
    with pytest.raises(UnreadablePictureError, match="infinite"):
        rows.unit(5, 9)
