"""How results are stored: as their source, unless another space is asked for or the format expects one."""

from __future__ import annotations

import numpy as np
import pytest

from stylegan_core.frames.colour.carry_over import carry_over
from stylegan_core.frames.colour.convert import to_working
from stylegan_core.frames.colour.output_encoding import choose_output_encoding
from stylegan_core.frames.colour.source_space import source_space_of
from stylegan_core.frames.colour.srgb import linear_to_srgb
from stylegan_core.frames.pictures.picture import Picture

LINEAR = Picture(np.full((2, 2, 3), 0.18, np.float16), "exr")
CODES = Picture(np.full((2, 2, 3), 118, np.uint8), "png")


def form(picture: Picture, name: str, asked: str = "source", source: str = "auto") -> tuple[str, str, bool] | None:
    found = choose_output_encoding(picture, source_space_of(picture, source), name, asked)
    return None if found is None else (found.space, found.sample_type, found.alpha_associated)


@pytest.mark.parametrize(
    ("picture", "name", "source", "expected"),
    [
        (LINEAR, "a.exr", "auto", None),
        (LINEAR, "a.tif", "auto", None),  # holds floats too
        (LINEAR, "a.png", "auto", ("srgb", "uint16", False)),
        (LINEAR, "a.jpg", "auto", ("srgb", "uint8", False)),
        (LINEAR, "a.dpx", "ACEScg", ("srgb", "uint16", False)),
        (LINEAR, "a.png", "ACEScct", None),  # a log stays what it is
        (CODES, "a.png", "auto", None),
        (CODES, "a.tif", "auto", None),
        (CODES, "a.exr", "auto", ("linear_rec709", "float16", True)),
        (CODES, "a.exr", "ARRI LogC4", None),
    ],
)
def test_what_a_format_expects(picture: Picture, name: str, source: str, expected: object) -> None:
    assert form(picture, name, source=source) == expected


def test_what_is_asked_for() -> None:
    assert form(LINEAR, "a.exr", "ACEScg") == ("ACEScg", "float16", True)
    assert form(LINEAR, "a.exr", "linear_rec709") is None
    assert form(CODES, "a.png", "acescct") == ("ACEScct", "uint8", False)
    with pytest.raises(ValueError, match="did you mean ACEScg"):
        form(LINEAR, "a.exr", "ACEScgg")
    found = choose_output_encoding(LINEAR, source_space_of(LINEAR), "a.exr", "ACEScg")
    assert found is not None
    assert dict(found.colour_tags)["colorInteropID"] == "lin_ap1_scene"
    assert dict(found.colour_tags)["chromaticities"][:2] == (0.713, 0.293)
    assert "ACEScg" in found.describe()
    assert "strength 0" in found.describe()


def test_results_are_converted_and_rounded_once() -> None:
    before = to_working(LINEAR)
    found = choose_output_encoding(LINEAR, source_space_of(LINEAR), "a.png")
    stored = carry_over(LINEAR, before, before, output=found)
    expected = linear_to_srgb(np.float32(np.float16(0.18))) * 65535
    assert stored.pixels.dtype == np.uint16
    assert np.abs(stored.pixels.astype(float) - expected).max() <= 0.51
    # An 8-bit source loses nothing of a half-float answer on its way to EXR.
    before, found = to_working(CODES), choose_output_encoding(CODES, source_space_of(CODES), "a.exr")
    after = before + np.float32(0.3 / 255)
    light = carry_over(CODES, before, after, output=found)
    assert light.pixels.dtype == np.float16
    assert light.pixels.max() > carry_over(CODES, before, before, output=found).pixels.max()


@pytest.mark.parametrize("source_type", ["float16", "float32"])
def test_samples_that_are_no_numbers_stay_so_in_another_space(source_type: str) -> None:
    pixels = np.full((2, 2, 4), 0.18, source_type)
    pixels[0, 0, 0], pixels[0, 1, :3], pixels[1, 0, 2] = np.nan, np.inf, -np.inf
    picture = Picture(pixels, "exr", has_alpha=True, alpha_associated=True)
    before = to_working(picture)
    found = choose_output_encoding(picture, source_space_of(picture), "a.exr", "ACEScg")
    stored = carry_over(picture, before, before, output=found).pixels
    strange = ~np.isfinite(pixels)
    np.testing.assert_array_equal(stored[strange], pixels[strange])
    assert np.isfinite(stored[~strange]).all()


def test_alpha_is_associated_in_exr_and_kept() -> None:
    straight = Picture(np.array([[[255, 255, 255, 128], [255, 0, 0, 0]]], np.uint8), "png", has_alpha=True)
    before = to_working(straight)
    found = choose_output_encoding(straight, source_space_of(straight), "a.exr")
    stored = carry_over(straight, before, before, output=found)
    assert stored.alpha_associated
    assert np.allclose(stored.pixels[0, 0], 128 / 255, atol=1e-3)
    assert stored.pixels[0, 1].tolist() == [0, 0, 0, 0]
    premultiplied = Picture(np.array([[[0.5, 0.5, 0.5, 0.5], [0.3, 0.3, 0.3, 0]]], np.float16), "exr", True, True)
    before = to_working(premultiplied)
    asked = choose_output_encoding(premultiplied, source_space_of(premultiplied), "a.exr", "ACEScg")
    stored = carry_over(premultiplied, before, before, output=asked)
    assert np.allclose(stored.pixels, premultiplied.pixels, atol=1e-3)  # grey is grey in ACEScg
