import numpy as np
import pytest

from stylegan_core.motion.camera import CameraMotion, MotionError, compose, inverse, parse_matrices

ZOOM = np.array([[0.9, 0.05, 4.0], [-0.05, 0.9, 7.0]])
IDENTITY = np.array([[1.0, 0, 0], [0, 1, 0]])


def test_matrices_are_those_of_homogeneous_coordinates() -> None:
    full = np.vstack([ZOOM, [0, 0, 1]])
    assert inverse(ZOOM) == pytest.approx(np.linalg.inv(full)[:2])
    other = np.array([[1.1, 0, 2.0], [0.2, 0.8, -3.0]])
    assert compose(other, ZOOM) == pytest.approx((np.vstack([other, [0, 0, 1]]) @ full)[:2])


def test_the_motion_between_frames_goes_through_the_picture() -> None:
    motion = CameraMotion(parse_matrices({"1": IDENTITY.tolist(), "12": ZOOM.tolist()}, "motion.json"))
    assert motion.knows([1, 12])
    assert not motion.knows([1, 2])
    assert motion.between(12, 1) == pytest.approx(ZOOM)
    assert motion.between(1, 12) == pytest.approx(inverse(ZOOM))


def test_a_matrix_without_inverse_is_named() -> None:
    with pytest.raises(MotionError, match=r"motion\.json: the matrix of frame 3 "):
        parse_matrices({"3": [[0, 0, 0], [0, 0, 0]]}, "motion.json")
