"""Depths of any number of bits: every code comes back, and full-range values mean what the codes meant."""

from __future__ import annotations

import numpy as np
import pytest

from stylegan_core.frames.base.bit_depth import array_type, from_codes, to_codes


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 10, 12, 14, 16, 24, 32])
def test_every_code_comes_back(bits: int) -> None:
    most = (1 << bits) - 1
    codes = np.arange(most + 1) if bits <= 16 else np.unique(np.linspace(0, most, 70_001).astype(np.uint64))
    codes = codes.astype(array_type(bits))
    spread = from_codes(codes, bits)
    assert spread.dtype == array_type(bits)
    assert np.array_equal(to_codes(spread, bits), codes)
    full = np.iinfo(spread.dtype).max
    # Exact arithmetic in Python's own integers.
    for index in (0, 1, len(codes) // 3, len(codes) - 1):
        code = int(codes[index])
        assert int(spread[index]) == (2 * code * full + most) // (2 * most)


def test_what_lies_between_codes_goes_to_the_nearest() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    assert np.array_equal(to_codes(values, 10), np.rint(values / 65535 * 1023))


def test_depths_that_do_not_exist() -> None:
    with pytest.raises(ValueError, match="33 bits"):
        array_type(33)
    with pytest.raises(ValueError, match="uint16"):
        to_codes(np.zeros((1, 1), np.uint8), 10)
