import json
from pathlib import Path

import numpy as np
import pytest

from stylegan_core.motion.camera import CameraMotion, MotionError, compose, inverse, load_motion
from stylegan_core.motion.coverage import covered, unseen_fraction
from stylegan_core.motion.warp import visible, warp

ZOOM = np.array([[0.9, 0.05, 4.0], [-0.05, 0.9, 7.0]])
IDENTITY = np.array([[1.0, 0, 0], [0, 1, 0]])


def _pan(*shifts_px: float) -> CameraMotion:
    return CameraMotion({i + 1: np.array([[1.0, 0, x], [0, 1, 0]]) for i, x in enumerate(shifts_px)})


def test_matrices_are_those_of_homogeneous_coordinates() -> None:
    full = np.vstack([ZOOM, [0, 0, 1]])
    assert inverse(ZOOM) == pytest.approx(np.linalg.inv(full)[:2])
    other = np.array([[1.1, 0, 2.0], [0.2, 0.8, -3.0]])
    assert compose(other, ZOOM) == pytest.approx((np.vstack([other, [0, 0, 1]]) @ full)[:2])


def test_a_motion_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "motion.json"
    path.write_text(json.dumps({"frames": {"1": IDENTITY.tolist(), "12": ZOOM.tolist()}}))
    motion = load_motion(path)
    assert motion.knows([1, 12])
    assert not motion.knows([1, 2])
    assert motion.between(12, 1) == pytest.approx(ZOOM)
    assert motion.between(1, 12) == pytest.approx(inverse(ZOOM))


@pytest.mark.parametrize(
    "content", ["", "{}", '{"frames": {"1": [[1, 0, 0]]}}', '{"frames": {"1": [[0,0,0],[0,0,0]]}}', "[]"]
)
def test_a_wrong_motion_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "motion.json"
    path.write_text(content)
    with pytest.raises(MotionError, match=r"motion\.json"):
        load_motion(path)


def test_a_warp_follows_a_smooth_surface_below_the_pixel() -> None:
    y, x = np.mgrid[:60, :80].astype(np.float64)

    def surface(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.stack([0.5 + 0.4 * np.sin(x / 4 + k) * np.cos(y / 5) for k in range(3)], axis=-1)

    warped = warp(surface(x, y).astype(np.float32), ZOOM)
    mask = visible(ZOOM, (60, 80), (60, 80), margin_px=4)
    expected = surface(ZOOM[0, 0] * x + ZOOM[0, 1] * y + ZOOM[0, 2], ZOOM[1, 0] * x + ZOOM[1, 1] * y + ZOOM[1, 2])
    assert mask.mean() > 0.5
    assert np.abs(warped - expected)[mask].max() < 1e-3


def test_a_frame_sees_all_of_itself_and_what_a_pan_leaves() -> None:
    assert visible(inverse(inverse(IDENTITY)), (10, 20), (10, 20)).all()
    moved = _pan(0, 5).between(1, 2)
    expected = np.zeros((10, 20), bool)
    expected[:, 5:] = True  # frame 2 looks 5 px further right
    assert np.array_equal(visible(moved, (10, 20), (10, 20)), expected)


def test_unseen_is_what_no_key_frame_shows() -> None:
    motion = _pan(0, 5, 30)
    assert unseen_fraction(motion, [2], [1], (10, 20)) == pytest.approx(5 / 20)
    assert unseen_fraction(motion, [3], [1], (10, 20)) == 1.0
    assert unseen_fraction(motion, [1, 2, 3], [1], (10, 20)) == pytest.approx((0 + 5 / 20 + 1) / 3)
    assert unseen_fraction(motion, [2], [], (10, 20)) == 1.0
    assert covered(motion, 2, [1, 3], (10, 20)).sum() == 15 * 10
    with pytest.raises(ValueError, match="at least one frame"):
        unseen_fraction(motion, [], [1], (10, 20))
