"""The balloon's outline has the area of its shape, and its path turns and scales it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.data import coffee

from stylegan_core.data.sample.balloon import balloon_path, draw_balloon


def test_the_outline_is_smooth_and_has_the_area_of_the_shape() -> None:
    colours, coverage = draw_balloon(coffee(), 240)
    assert colours.shape == (*coverage.shape, 3)
    assert not coverage[[0, -1]].any()
    assert not coverage[:, [0, -1]].any()
    envelope = math.pi * 0.5**2 / 2 + 2 * 0.7 * (0.12 + 0.38 * 2 / 3)
    basket, ropes = 2 * 0.09 * 0.17, 4 * 0.012 * 0.13
    unit_px = 240 / 1.5
    assert coverage.sum() / 255 == pytest.approx((envelope + basket + ropes) * unit_px**2, rel=0.01)
    assert 0.005 < ((coverage > 0) & (coverage < 255)).mean() < 0.05


def test_colours_go_on_beyond_the_outline() -> None:
    colours, coverage = draw_balloon(coffee(), 120)
    solid = np.argwhere(coverage == 255)
    for row, column in ((0, 0), (20, colours.shape[1] - 1), (colours.shape[0] - 1, 0)):
        nearest = solid[((solid - [row, column]) ** 2).sum(axis=1).argmin()]
        assert np.abs(colours[row, column].astype(int) - colours[tuple(nearest)]).max() < 90


def test_the_path_crosses_the_frame_turning_and_growing() -> None:
    path = balloon_path(48, 480, 300, (176, 120))
    scales = [math.sqrt(np.linalg.det(matrix[:, :2])) for matrix in path]
    assert np.all(np.diff(scales) < 0)  # fewer of its own pixels to a frame's pixel: it comes nearer
    centres = [np.linalg.solve(matrix[:, :2], np.array([119, 175]) / 2 - matrix[:, 2]) for matrix in path]
    assert np.allclose(centres[0], (0.84 * 479, 0.5 * 299))
    assert np.allclose(centres[-1], (0.16 * 479, 0.5 * 299))
    degrees = [math.degrees(math.atan2(matrix[0, 1], matrix[0, 0])) for matrix in path]
    assert max(degrees) > 5
    assert min(degrees) < -5
