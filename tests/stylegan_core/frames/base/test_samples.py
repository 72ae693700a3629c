"""Rounding of samples, to the depth of the file, once."""

from __future__ import annotations

import numpy as np
import pytest

from stylegan_core.frames.base.bit_depth import from_codes, to_codes
from stylegan_core.frames.base.samples import add_change, from_unit, make_finite, to_unit


@pytest.mark.parametrize(
    ("bits", "kind"), [(8, "uint8"), (10, "uint16"), (12, "uint16"), (16, "uint16"), (24, "uint32")]
)
def test_a_change_lands_on_the_nearest_code_of_the_file(bits: int, kind: str) -> None:
    rng, most = np.random.default_rng(3), (1 << bits) - 1
    codes = rng.integers(0, most + 1, (40, 50, 3)).astype(kind)
    pixels = from_codes(codes, bits)
    change = rng.uniform(-0.2, 0.2, codes.shape).astype(np.float32)
    change[:10] = 0
    result = add_change(pixels, change, bits)
    exact = np.clip(codes / most + change.astype(np.float64), 0, 1) * most
    assert np.abs(to_codes(result, bits).astype(np.float64) - exact).max() <= 0.5 + max(
        0.5 * most / np.iinfo(kind).max, 1e-2
    )
    assert np.array_equal(from_codes(to_codes(result, bits), bits), result)  # codes of the file, nothing between
    assert np.array_equal(result[:10], pixels[:10])


def test_a_change_of_nothing_keeps_what_is_no_code_of_the_file() -> None:
    odd = np.array([[[3, 65534, 77]]], np.uint16)
    assert np.array_equal(add_change(odd, np.zeros((1, 1, 3), np.float32), 10), odd)


def test_floats_keep_nan_infinities_and_minus_zero_and_never_overflow() -> None:
    pixels = np.array([[[np.nan, np.inf, -np.inf], [-0.0, 65000, 1]]], np.float16)
    change = np.array([[[1, 1, 1], [0, 60000, 0.5]]], np.float32)
    result = add_change(pixels, change)
    assert np.array_equal(result[0, 0].view(np.uint16), pixels[0, 0].view(np.uint16))
    assert np.signbit(result[0, 1, 0])
    assert result[0, 1].tolist() == [0, 65504, 1.5]


def test_to_numbers_and_back() -> None:
    for kind in ("uint8", "uint16"):
        every = np.arange(np.iinfo(kind).max + 1, dtype=kind).reshape(-1, 1, 1)
        assert np.array_equal(from_unit(to_unit(every), np.dtype(kind)), every)
    assert from_unit(np.array([[[np.nan, -1, 2]]], np.float32), np.dtype("uint8")).tolist() == [[[0, 0, 255]]]
    assert make_finite(np.array([np.nan, np.inf, -np.inf, 1e30, 3], np.float32)).tolist() == [
        0,
        65504,
        -65504,
        65504,
        3,
    ]
