"""Light beyond a network's range: exchanged inside of it, scaled beyond, and exact where nothing changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stylegan_core.frames.colour.carry_over import carry_over
from stylegan_core.frames.colour.convert import to_working
from stylegan_core.frames.colour.residual import blend_back_change
from stylegan_core.frames.colour.srgb import srgb_to_linear
from stylegan_core.frames.pictures.picture import Picture

RNG = np.random.default_rng(5)


def plate(kind: str = "float16") -> Picture:
    """Light of -0.2 to 64, with NaN, infinities and -0."""
    light = np.concatenate([RNG.normal(0, 0.05, 600), np.exp2(RNG.uniform(-8, 6, 1788))]).astype(kind)
    light[:12] = [16, 16, 16, np.nan, np.inf, -np.inf, -0.0, 0.0, 0.0, 64, -0.2, 1]
    return Picture(light.reshape(4, 199, 3), "exr")


@pytest.mark.parametrize("working_space", ["srgb", "linear_rec709", "ACEScg", "ACEScct", "view:"])
@pytest.mark.parametrize("kind", ["float16", "float32"])
def test_what_does_not_change_keeps_every_bit(kind: str, working_space: str) -> None:
    picture = plate(kind)
    before = to_working(picture, working_space=working_space)
    assert np.isfinite(before).all()
    assert before.min() >= 0
    assert before.max() <= 1
    after = before.copy()
    after[1:, 100:] = RNG.random(after[1:, 100:].shape)
    result = carry_over(picture, before, after, working_space=working_space).pixels
    bits = f"uint{8 * result.itemsize}"
    assert np.array_equal(result[:, :100].view(bits), picture.pixels[:, :100].view(bits))
    assert np.array_equal(result[0].view(bits), picture.pixels[0].view(bits))
    assert not np.array_equal(result[1:, 100:], picture.pixels[1:, 100:])
    assert np.isfinite(result[1:]).all()
    masked = carry_over(picture, before, after, working_space=working_space, mask_unit=np.zeros((4, 199), np.float32))
    assert np.array_equal(masked.pixels.view(bits), picture.pixels.view(bits))
    still = carry_over(picture, before, after, working_space=working_space, strength=0)
    assert np.array_equal(still.pixels.view(bits), picture.pixels.view(bits))


def test_a_highlight_comes_back_in_place_and_is_painted_in_proportion() -> None:
    picture = Picture(np.array([[[16.0, 16.0, 16.0], [0.5, 0.5, 0.5]]], np.float16))
    before = to_working(picture)
    assert carry_over(picture, before, before).pixels[0, 0].tolist() == [16, 16, 16]
    nearly = carry_over(picture, before, before * np.float32(0.99)).pixels[0, 0]
    assert (nearly > 15.5).all()
    assert (nearly < 16).all()
    tint = np.array([1, 0.75, 0.5], np.float32)
    tinted = carry_over(picture, before, before * 0 + tint).pixels
    assert np.allclose(tinted[0, 0], 16 * srgb_to_linear(tint), rtol=0.01)
    assert np.allclose(tinted[0, 1], srgb_to_linear(tint), rtol=2e-3)  # seen whole: the answer itself
    darker = [carry_over(picture, before, before * np.float32(k)).pixels[0, 0, 0] for k in np.linspace(1, 0, 50)]
    assert (np.diff(darker) <= 0).all()
    assert darker[-1] < 0.05


def test_what_was_not_seen_is_never_amplified() -> None:
    source = np.array([[0.5, -0.5, 3.0, 0.001, -0.01]], np.float32)
    before = np.array([[0.02, 0.0, 1.0, 0.0, 0.0]], np.float32)
    after = np.array([[0.9, 0.9, 1.0, 0.9, 0.2]], np.float32)
    result = source + blend_back_change(source, before, after, logarithmic=False)
    assert np.allclose(result, after + source - before)
    # A colour outside of the gamut that is painted black leaves no negative light behind.
    green = np.array([[-0.3, 0.0, 0.9]], np.float32)
    held = np.array([[0.3, 0.2, 0.8]], np.float32)
    black = green + blend_back_change(green, held, held * np.float32(1e-4), logarithmic=False)
    assert np.abs(black).max() < 0.01


def test_a_plate_gives_the_same_light_in_linear_and_in_a_camera_log() -> None:
    from stylegan_core.frames.profiles.ocio import load_config

    config = load_config()
    light = np.exp2(RNG.uniform(-6, 4, (20, 20, 3))).astype(np.float32)
    light[:10] = light[:10, :, :1]
    answer = np.clip(to_working(light) * RNG.uniform(0.3, 1, (20, 20, 1)).astype(np.float32), 0, 1)
    linear = Picture(light, "exr")
    logged = Picture(config.convert(light.copy(), "linear_rec709", "ARRI LogC4"), "exr")
    one = carry_over(linear, to_working(linear), answer).pixels
    before = to_working(logged, source_space="ARRI LogC4")
    assert np.allclose(before, to_working(linear), atol=1e-5)
    other = carry_over(logged, before, answer, source_space="ARRI LogC4").pixels
    back = config.convert(other, "ARRI LogC4", "linear_rec709")
    stops = np.abs(np.log2(back[:10] / one[:10]))  # of neutral light; a camera's log has an offset, felt in dark paint
    assert stops.max() < 0.5
    assert np.median(stops) < 0.05
    seen_whole = light.max(axis=2) < 1
    assert np.allclose(back[seen_whole], one[seen_whole], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("working_space", ["ACEScct", "view:"])
def test_a_space_that_holds_highlights_paints_them(working_space: str) -> None:
    picture = Picture(np.full((1, 4, 3), 8.0, np.float16))
    before = to_working(picture, working_space=working_space)
    assert 0.5 < before.max() < 1
    result = carry_over(picture, before, before - np.float32(0.05), working_space=working_space).pixels
    assert (result < 7).all()
    assert (result > 1).all()
    brighter = carry_over(picture, before, before * 0 + 5, working_space=working_space).pixels
    assert np.isfinite(brighter).all()
    assert (brighter > 8).all()


@pytest.mark.parametrize("source_space", ["linear_rec709", "ARRI LogC4"])
def test_a_picture_in_its_place_is_not_lit_by_the_source(source_space: str) -> None:
    from stylegan_core.frames.profiles.ocio import load_config

    light = np.full((1, 2, 3), 16, np.float32)
    plate = Picture(load_config().convert(light.copy(), "linear_rec709", source_space), "exr")
    before = to_working(plate, source_space=source_space)
    replaced = np.array([[1.0, 0.0]], np.float32)
    result = carry_over(plate, before, before * np.float32(0.5), source_space=source_space, replaced_unit=replaced)
    seen = load_config().convert(result.pixels.copy(), source_space, "linear_rec709")
    assert np.allclose(seen[0, 0], srgb_to_linear(np.full(3, 0.5, np.float32)), rtol=1e-3)
    assert (seen[0, 1] > 3).all()
    assert np.array_equal(carry_over(plate, before, before, source_space=source_space).pixels, plate.pixels)


def test_strength_above_one_goes_no_further_into_negative_light() -> None:
    picture = Picture(np.full((1, 2, 3), 0.5, np.float32), "exr")
    before = to_working(picture)
    result = carry_over(picture, before, before * np.float32(0.3), strength=2.0).pixels
    assert (result >= 0).all()
    assert carry_over(picture, before, before * np.float32(1.2), strength=2.0).pixels.min() > 0.9


def test_bands_give_what_the_whole_gives() -> None:
    picture = plate()
    after = RNG.random((4, 199, 3)).astype(np.float32)
    for space in ("srgb", "ACEScct"):
        whole = carry_over(picture, to_working(picture, working_space=space), after, working_space=space).pixels
        for row in range(4):
            band = replace(picture, pixels=picture.pixels[row : row + 1])
            before = to_working(band, working_space=space)
            alone = carry_over(band, before, after[row : row + 1], working_space=space).pixels
            assert np.array_equal(alone.view("uint16"), whole[row : row + 1].view("uint16"))
