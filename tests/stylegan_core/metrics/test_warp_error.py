import math

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from skimage.data import coffee
from skimage.transform import AffineTransform
from skimage.transform import warp as skimage_warp

from stylegan_core.metrics.warp_error import MARGIN_PX, pair_warp_error, seen_points
from stylegan_core.motion.camera import CameraMotion
from stylegan_core.motion.scene import SceneMotion

FRAMES = 4
HEIGHT, WIDTH = 48, 64


@pytest.fixture(scope="module")
def shot() -> tuple[list[np.ndarray], SceneMotion]:
    photograph = coffee()[50:250, 100:400].astype(np.float64) / 255
    matrices, frames = {}, []
    for i in range(FRAMES):
        matrices[10 + i] = np.array([[1.5 - 0.02 * i, 0, 20.3 + 3.7 * i], [0, 1.5 - 0.02 * i, 30.1 + 1.3 * i]])
        rows, columns = np.mgrid[:HEIGHT, :WIDTH]
        (a, _, x), (_, d, y) = matrices[10 + i]
        channels = [map_coordinates(photograph[..., c], [d * rows + y, a * columns + x], order=3) for c in range(3)]
        frames.append(np.stack(channels, -1).astype(np.float32))
    return frames, SceneMotion(CameraMotion(matrices))


def _error(later: np.ndarray, earlier: np.ndarray, motion: SceneMotion, numbers: tuple[int, int]) -> float:
    return pair_warp_error(later, earlier, *seen_points(motion, numbers, (HEIGHT, WIDTH)))


def test_a_moving_camera_has_next_to_no_error_and_flicker_has_its_own(
    shot: tuple[list[np.ndarray], SceneMotion],
) -> None:
    frames, motion = shot

    def error(shown: list[np.ndarray]) -> float:
        pairs = range(1, FRAMES)
        return float(np.mean([_error(shown[i], shown[i - 1], motion, (10 + i, 9 + i)) for i in pairs]))

    steady = error(frames)
    unwarped = float(np.mean([((frames[i] - frames[i - 1]) ** 2).mean() for i in range(1, FRAMES)]))
    assert steady < 0.1 * unwarped
    flickering = [frame + np.float32(0.1 * (i % 2)) for i, frame in enumerate(frames)]
    # A change of brightness by 0.1 is no motion: it stays, and its square adds to the error.
    assert error(flickering) == pytest.approx(0.01 + steady, rel=0.05)


def test_scikit_images_warp_gives_nearly_the_same_error(shot: tuple[list[np.ndarray], SceneMotion]) -> None:
    frames, motion = shot
    noisy = [f + np.random.default_rng(i).normal(0, 0.1, f.shape).astype(np.float32) for i, f in enumerate(frames)]
    matrix = motion.camera.between(11, 10)
    warped = skimage_warp(noisy[0], AffineTransform(np.vstack([matrix, [0, 0, 1]])), order=3, cval=np.nan)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    x, y = matrix[0, 0] * columns + matrix[0, 2], matrix[1, 1] * rows + matrix[1, 2]
    m = MARGIN_PX
    mask = (x >= m) & (y >= m) & (x <= WIDTH - 1 - m) & (y <= HEIGHT - 1 - m)
    expected = float(((noisy[1] - warped)[mask] ** 2).mean())
    # scikit-image's cubic is Catmull-Rom's relative, not a spline through the pixels: noise keeps a little less power.
    assert _error(noisy[1], noisy[0], motion, (11, 10)) == pytest.approx(expected, rel=0.15)


def test_frames_that_share_nothing_have_no_error(shot: tuple[list[np.ndarray], SceneMotion]) -> None:
    frames, _ = shot
    camera = CameraMotion({1: np.array([[1.0, 0, 0], [0, 1, 0]]), 2: np.array([[1.0, 0, 500], [0, 1, 0]])})
    apart = SceneMotion(camera)
    assert math.isnan(_error(frames[0], frames[1], apart, (1, 2)))
