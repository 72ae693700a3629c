import numpy as np
import pytest

from stylegan_core.motion.camera import CameraMotion
from stylegan_core.motion.coverage import covered, unseen_fraction
from stylegan_core.motion.scene import SceneMotion


def _pan(*shifts_px: float) -> SceneMotion:
    return SceneMotion(CameraMotion({i + 1: np.array([[1.0, 0, x], [0, 1, 0]]) for i, x in enumerate(shifts_px)}))


def test_unseen_is_what_no_key_frame_shows() -> None:
    motion = _pan(0, 5, 30)
    assert unseen_fraction(motion, [2], [1], (10, 20)) == pytest.approx(5 / 20)
    assert unseen_fraction(motion, [3], [1], (10, 20)) == 1.0
    assert unseen_fraction(motion, [1, 2, 3], [1], (10, 20)) == pytest.approx((0 + 5 / 20 + 1) / 3)
    assert unseen_fraction(motion, [2], [], (10, 20)) == 1.0
    assert covered(motion, 2, [1, 3], (10, 20)).sum() == 15 * 10
    with pytest.raises(ValueError, match="at least one frame"):
        unseen_fraction(motion, [], [1], (10, 20))
