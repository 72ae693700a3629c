"""Colour: against scikit-image, Pillow's Little CMS and closed forms; carrying over is exact where nothing changed."""

from __future__ import annotations

import io
from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage.color import rgb2xyz

from stylegan_core.frames.colour.carry_over import carry_over
from stylegan_core.frames.colour.convert import REC709_LUMA, convert_space, to_working
from stylegan_core.frames.colour.source_space import source_space_of
from stylegan_core.frames.colour.srgb import linear_to_srgb, srgb_to_linear
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.profiles.icc import is_srgb, profile_problem

RNG = np.random.default_rng(13)
D65 = (0.3127, 0.3290, 1.0)
ADOBE_GAMMA = 2.19921875
ADOBE = imagecodecs.cms_profile(
    "rgb", whitepoint=D65, primaries=(0.64, 0.33, 1.0, 0.21, 0.71, 1.0, 0.15, 0.06, 1.0), gamma=ADOBE_GAMMA
)
GREY = imagecodecs.cms_profile("gray", whitepoint=D65, gamma=1.8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EVERY_UINT16 = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)


def adobe_matrix() -> np.ndarray:
    """Linear Adobe RGB to linear sRGB, from the primaries in Adobe's specification (1998)."""
    adobe_to_xyz = np.array([[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]])
    xyz_to_srgb = np.linalg.inv([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                                 [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip
    return xyz_to_srgb @ adobe_to_xyz


def test_srgb_against_scikit_image_and_back() -> None:
    encoded = np.linspace(0, 1, 4097, dtype=np.float32)
    grey = np.repeat(encoded[:, None], 3, axis=1)
    assert np.allclose(srgb_to_linear(encoded), rgb2xyz(grey)[:, 1], atol=2e-6)  # Y of grey is its linear value
    wide = np.linspace(-2, 40, 10_001, dtype=np.float32)
    assert np.allclose(linear_to_srgb(srgb_to_linear(wide)), wide, rtol=2e-6, atol=1e-6)
    assert np.array_equal(srgb_to_linear(-wide), -srgb_to_linear(wide))


@pytest.mark.parametrize("sample_type", ["uint8", "uint16"])
@pytest.mark.parametrize("working_space", ["srgb", "linear_rec709"])
def test_every_code_survives_there_and_back(sample_type: str, working_space: str) -> None:
    codes = EVERY_UINT16 if sample_type == "uint16" else np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    working = to_working(codes, working_space=working_space)
    assert working.dtype == np.float32
    assert working.shape == (*codes.shape[:2], 3)
    back = convert_space(working.copy(), working_space, "srgb", None, None)
    assert np.array_equal(np.rint(back * np.iinfo(codes.dtype).max).astype(codes.dtype), np.repeat(codes, 3, axis=2))


def test_what_untagged_pictures_are_taken_for() -> None:
    integers, floats = Picture(np.zeros((1, 1, 3), np.uint16)), Picture(np.full((1, 1, 3), 0.5, np.float16))
    assert source_space_of(integers).name == "srgb"
    assert source_space_of(floats).name == "linear_rec709"
    assert source_space_of(replace(floats, icc_profile=ADOBE)).name == "icc"
    assert source_space_of(replace(floats, icc_profile=b"damaged")).name == "linear_rec709"
    assert source_space_of(replace(integers, icc_profile=ADOBE), "linear_rec709").name == "linear_rec709"
    assert np.allclose(to_working(floats), 0.735357, atol=1e-5)  # the sRGB code of half the light
    with pytest.raises(ValueError, match=r"no colour space 'rec2020'; did you mean Linear Rec\.2020"):
        source_space_of(floats, "rec2020")
    with pytest.raises(ValueError, match="requires a picture with a usable ICC profile"):
        source_space_of(floats, "icc")
    with pytest.raises(ValueError, match="no colour space 'ACEScgg'"):
        to_working(floats, working_space="ACEScgg")


def test_a_profile_against_a_closed_form() -> None:
    pixels = RNG.integers(0, 65536, (40, 40, 3), dtype=np.uint16)
    linear = (pixels / 65535) ** ADOBE_GAMMA @ adobe_matrix().T
    expected = np.clip(linear_to_srgb(linear.astype(np.float32)), 0, 1)
    # Adobe's four published digits of chromaticity limit the agreement.
    assert np.abs(to_working(pixels, ADOBE) - expected).max() < 2e-3
    light = to_working(pixels, ADOBE, working_space="linear_rec709")
    assert np.abs(light - np.clip(linear, 0, 1)).max() < 1e-3


def test_a_profile_against_pillow() -> None:
    pixels = RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    profiles = [ImageCms.ImageCmsProfile(io.BytesIO(profile)) for profile in (ADOBE, SRGB)]
    converted = ImageCms.profileToProfile(Image.fromarray(pixels), *profiles, renderingIntent=1)
    assert np.abs(to_working(pixels, ADOBE) * 255 - np.asarray(converted)).max() < 1  # Pillow has 8 bits


def test_a_profile_there_and_back() -> None:
    inside = RNG.uniform(0.2, 0.8, (40, 40, 3)).astype(np.float32)
    for profile in (ADOBE, SRGB):
        space = source_space_of(Picture(inside, icc_profile=profile)).name
        pixels = np.rint(convert_space(inside.copy(), "srgb", space, profile, None) * 65535).astype(np.uint16)
        assert np.abs(to_working(pixels, profile) - inside).max() < 5e-5


def test_grey_profiles() -> None:
    working = to_working(EVERY_UINT16, GREY, working_space="linear_rec709")
    assert np.allclose(working[..., 1:2], (EVERY_UINT16 / 65535) ** 1.8, atol=1e-4)
    assert np.abs(working - working[..., :1]).max() < 1e-4
    back = convert_space(working.copy(), "linear_rec709", "icc", GREY, None)
    assert np.abs(back - EVERY_UINT16 / 65535)[8:].max() < 1e-4
    picture = Picture(EVERY_UINT16, icc_profile=ADOBE)  # an RGB profile on grey pixels
    assert np.allclose(
        to_working(picture, working_space="linear_rec709"), (EVERY_UINT16 / 65535) ** ADOBE_GAMMA, atol=1e-4
    )


def test_what_profiles_are_good_for() -> None:
    assert is_srgb(SRGB)
    assert not is_srgb(ADOBE)
    assert not is_srgb(GREY)
    assert profile_problem(ADOBE, 3) is None
    assert profile_problem(ADOBE, 1) is None
    assert profile_problem(GREY, 1) is None
    assert profile_problem(GREY, 3) == "its ICC profile is for grey pixels"
    assert "damaged" in str(profile_problem(ADOBE[:300], 3))
    assert profile_problem(b"", 3) == "its ICC profile is damaged"


def test_alpha_is_dropped_and_undone_where_associated() -> None:
    straight = np.array([[[200, 100, 50, 255], [200, 100, 50, 51], [10, 20, 30, 0]]], np.uint8)
    assert np.allclose(to_working(straight)[0, :, 0] * 255, [200, 200, 10])
    assert to_working(straight[..., 2:]).shape == (1, 3, 3)
    stored = straight.copy()
    stored[0, 1, :3] //= 5
    associated = Picture(stored, has_alpha=True, alpha_associated=True)
    assert np.allclose(to_working(associated)[0, :2, :] * 255, [[200, 100, 50]] * 2)


PICTURES = {
    "uint8": Picture(RNG.integers(0, 256, (9, 11, 3), dtype=np.uint8)),
    "uint16": Picture(RNG.integers(0, 65536, (9, 11, 4), dtype=np.uint16), has_alpha=True),
    "associated": Picture(RNG.integers(0, 256, (9, 11, 4), dtype=np.uint8), has_alpha=True, alpha_associated=True),
    "grey": Picture(RNG.integers(0, 65536, (9, 11, 1), dtype=np.uint16)),
    "grey alpha": Picture(RNG.integers(0, 256, (9, 11, 2), dtype=np.uint8), has_alpha=True),
    "grey profile": Picture(RNG.integers(0, 256, (9, 11, 1), dtype=np.uint8), icc_profile=GREY),
    "wide gamut": Picture(RNG.integers(0, 65536, (9, 11, 3), dtype=np.uint16), icc_profile=ADOBE),
    "half": Picture((RNG.uniform(-1, 60, (9, 11, 3))).astype(np.float16)),
    "float": Picture((RNG.uniform(-1, 60, (9, 11, 3))).astype(np.float32)),
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("working_space", ["srgb", "linear_rec709"])
def test_carrying_over_is_exact_where_nothing_changed(name: str, working_space: str) -> None:
    picture = PICTURES[name]
    before = to_working(picture, working_space=working_space)
    after = RNG.uniform(0, 1, before.shape).astype(np.float32)
    mask = np.zeros(before.shape[:2], np.float32)
    mask[4:, 5:] = 1
    half_changed = before.copy()
    half_changed[4:, 5:] = after[4:, 5:]
    for result in (
        carry_over(picture, before, before, working_space=working_space),
        carry_over(picture, before, after, strength=0, working_space=working_space),
        carry_over(picture, before, after, mask_unit=mask * 0, working_space=working_space),
    ):
        assert result.pixels.dtype == picture.pixels.dtype
        assert np.array_equal(result.pixels, picture.pixels)
        assert result.metadata is picture.metadata
    for result in (
        carry_over(picture, before, after, mask_unit=mask, working_space=working_space),
        carry_over(picture, before, after, mask_unit=mask[..., None], working_space=working_space),
        carry_over(picture, before, half_changed, working_space=working_space),
    ):
        changed = (result.pixels != picture.pixels).any(axis=-1)
        assert not changed[:4].any()
        assert not changed[:, :5].any()
        assert changed[4:, 5:].any()
        if picture.has_alpha:
            assert np.array_equal(result.pixels[..., -1], picture.pixels[..., -1])


@pytest.mark.parametrize("sample_type", ["uint8", "uint16"])
def test_carrying_over_gives_the_networks_picture_inside_the_working_space(sample_type: str) -> None:
    most = np.iinfo(sample_type).max
    picture = Picture(RNG.integers(0, most, (9, 11, 3), dtype=sample_type))
    after = RNG.uniform(0, 1, (9, 11, 3)).astype(np.float32)
    result = carry_over(picture, to_working(picture), after)
    assert np.abs(result.pixels - np.rint(after.astype(np.float64) * most)).max() <= (
        0 if sample_type == "uint8" else 1
    )
    halfway = carry_over(picture, to_working(picture), after, strength=0.5)
    assert np.abs(halfway.pixels - (picture.pixels / 2 + after * most / 2)).max() <= 1


def test_highlights_above_the_working_space_survive() -> None:
    picture = Picture(np.array([[[40.0, 2.0, 0.5]]], np.float32))
    before = to_working(picture)
    assert before.max() == 1
    result = carry_over(picture, before, before * np.float32(0.5))
    light = srgb_to_linear(np.array([0.5, 0.5, before[0, 0, 2] / 2], np.float32))
    assert np.allclose(result.pixels[0, 0], light * [40, 2, 1], rtol=0.02)


def test_grey_changes_by_the_luma_of_the_change() -> None:
    picture = Picture(np.full((2, 2, 1), 100, np.uint8))
    before = to_working(picture)
    after = before + np.array([0.1, 0.2, -0.1], np.float32)
    expected = 100 + 255 * float(REC709_LUMA @ [0.1, 0.2, -0.1])
    assert carry_over(picture, before, after).pixels.tolist() == [[[round(expected)]] * 2] * 2


def test_associated_colours_change_by_their_alpha() -> None:
    pixels = [[[0.0, 0.0, 0.0, 0.25], [0.5, 0.5, 0.5, 0.0], [0.0, 0.0, 0.0, 0.0]]]
    picture = Picture(np.array(pixels, np.float32), "exr", True, True)
    before = to_working(picture, working_space="linear_rec709")
    result = carry_over(picture, before, before + np.float32(0.4), working_space="linear_rec709")
    # Light of its own, without alpha, changes whole; where nothing is, nothing is painted.
    assert np.allclose(result.pixels, [[[0.1, 0.1, 0.1, 0.25], [0.9, 0.9, 0.9, 0.0], [0.0, 0.0, 0.0, 0.0]]])


def test_carrying_over_refuses_what_makes_no_picture() -> None:
    picture = PICTURES["uint8"]
    before = to_working(picture)
    with pytest.raises(ValueError, match="after has shape"):
        carry_over(picture, before, before[1:])
    with pytest.raises(ValueError, match="not finite"):
        carry_over(picture, before, before * np.float32(np.nan))
    with pytest.raises(ValueError, match="mask has shape"):
        carry_over(picture, before, before, mask_unit=np.ones((3, 3), np.float32))
