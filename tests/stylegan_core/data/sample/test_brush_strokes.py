"""Strokes are directed, several sizes bring detail, and the painting does not depend on the machine."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from stylegan_core.data.sample.brush_strokes import BRUSHES, Brush, paint_in_strokes, scaled_brushes

FACE = np.ascontiguousarray(astronaut()[20:180, 150:310])


def _blurred_difference(painted: np.ndarray, rgb: np.ndarray) -> float:
    blurred = (cv2.GaussianBlur(picture.astype(np.float64), (0, 0), 2) for picture in (painted, rgb))
    return float(np.abs(np.subtract(*blurred)).mean())


def test_smaller_brushes_bring_detail() -> None:
    coarse, fine = (paint_in_strokes(FACE, brushes=BRUSHES[:count]) for count in (1, 4))
    assert coarse.shape == FACE.shape
    assert coarse.dtype == np.uint8
    assert _blurred_difference(fine, FACE) < 0.7 * _blurred_difference(coarse, FACE)
    # It is a painting, not a copy: pixels differ by more than the jitter of the colours.
    assert np.abs(fine.astype(float) - FACE).mean() > 6


@pytest.mark.parametrize("across", [0, 1])
def test_strokes_run_along_the_edges(across: int) -> None:
    ramp = np.linspace(40, 210, 120).reshape((-1, 1, 1) if across == 0 else (1, -1, 1))
    picture = np.broadcast_to(ramp, (120, 120, 3)).astype(np.uint8)
    residual = paint_in_strokes(picture, brushes=BRUSHES[1:3]).astype(float) - picture
    change = [np.abs(np.diff(residual, axis=axis)).mean() for axis in (0, 1)]
    # The ramp itself is removed: what is left is brushwork, and it is smoother along the stroke than across.
    assert change[across] > 1.5 * change[1 - across]


@pytest.fixture
def opencv_settings() -> Iterator[None]:
    threads, optimized = cv2.getNumThreads(), cv2.useOptimized()
    yield
    cv2.setNumThreads(threads)
    cv2.setUseOptimized(optimized)


@pytest.mark.usefixtures("opencv_settings")
def test_threads_and_vector_instructions_do_not_change_it() -> None:
    cv2.setNumThreads(4)
    cv2.setUseOptimized(True)
    with_all = paint_in_strokes(FACE)
    cv2.setNumThreads(1)
    cv2.setUseOptimized(False)
    assert np.array_equal(paint_in_strokes(FACE), with_all)
    assert not np.array_equal(paint_in_strokes(FACE, seed=1), with_all)


def test_brushes_follow_the_size_of_the_picture() -> None:
    brushes = (Brush(12, 9, 0.0, 7.0), Brush(3, 10, 17.0, 5.0), Brush(2, 9, 22.0, 4.0))
    assert [brush.radius_px for brush in scaled_brushes(2.0, brushes)] == [24, 6, 4]
    # Two layers of one size would only paint over each other.
    assert [(brush.radius_px, brush.tolerance) for brush in scaled_brushes(0.25, brushes)] == [(3, 0.0), (1, 17.0)]
