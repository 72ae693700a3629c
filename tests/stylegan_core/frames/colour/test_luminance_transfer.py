"""Keeping the source's colour: luminance of the answer, chromaticity of the source, no change where none was."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from stylegan_core.frames.colour.convert import REC709_LUMA
from stylegan_core.frames.colour.luminance_transfer import keep_source_colour
from stylegan_core.frames.colour.srgb import linear_to_srgb, srgb_to_linear


def random_unit(seed: int, low: float = 0.2, high: float = 0.8) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, (24, 32, 3)).astype(np.float32)


def test_luminance_is_the_answers_and_chromaticity_the_sources() -> None:
    before = random_unit(1)
    after = linear_to_srgb(srgb_to_linear(before)[..., ::-1] * np.float32(0.5))  # darker, and of other colours
    kept = srgb_to_linear(keep_source_colour(before, after, working_space="srgb"))
    assert np.allclose(kept @ REC709_LUMA, srgb_to_linear(after) @ REC709_LUMA, rtol=2e-3)
    source = srgb_to_linear(before)
    expected = source / source.sum(-1, keepdims=True)
    # The noise floor moves dark colours a little towards grey.
    assert np.allclose(kept / kept.sum(-1, keepdims=True), expected, atol=0.01)


def test_what_the_network_left_alone_keeps_every_bit() -> None:
    before = random_unit(2, 0, 1)
    after = before.copy()
    after[:12] *= np.float32(0.5)
    for space in ("srgb", "linear_rec709"):
        kept = keep_source_colour(before, after, working_space=space)
        assert np.array_equal(kept[12:], before[12:])
        assert not np.allclose(kept[:12], before[:12], atol=0.01)


def test_colours_that_do_not_fit_fade_and_keep_their_hue() -> None:
    before = np.full((1, 1, 3), [0.9, 0.1, 0.1], np.float32)
    kept = keep_source_colour(before, np.full((1, 1, 3), 0.9, np.float32), working_space="srgb")[0, 0]
    assert kept.max() == pytest.approx(1, abs=1e-5)
    assert kept.min() >= 0
    assert srgb_to_linear(kept) @ REC709_LUMA == pytest.approx(((0.9 + 0.055) / 1.055) ** 2.4, rel=1e-3)
    hues = [colorsys.rgb_to_hsv(*srgb_to_linear(colour))[0] for colour in (before[0, 0], kept)]
    assert hues[0] == pytest.approx(hues[1], abs=1e-3)


def test_scene_light_may_exceed_1_and_answers_out_of_range_stay_finite() -> None:
    before = np.array([[[4, 2, 1], [0, 0, 0], [-0.1, 0.01, 0]]], np.float32)
    after = np.array([[[8, 8, 8], [0.5, 0.5, 0.5], [-1, -1, -1]]], np.float32)
    kept = keep_source_colour(before, after, working_space="linear_rec709")
    assert kept[0, 0] @ REC709_LUMA == pytest.approx(8, rel=1e-3)
    assert kept[0, 0, 0] / kept[0, 0, 2] == pytest.approx(4, rel=5e-3)
    assert np.allclose(kept[0, 1], 0.5)
    assert np.isfinite(kept).all()
