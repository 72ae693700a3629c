import cv2
import numpy as np

from stylegan_core.motion.local_contrast import REACH_PX, missing_contrast
from tests.stylegan_core.motion.textures import dabs, texture


def detail(picture: np.ndarray) -> float:
    return float(np.abs(cv2.Laplacian(picture.mean(axis=2), cv2.CV_32F)).mean())


def test_a_softened_picture_gets_its_contrast_back() -> None:
    sharp = dabs(64, 64)
    soft = cv2.GaussianBlur(sharp, (0, 0), 0.8)
    restored = soft + missing_contrast(sharp, soft)
    assert 1.3 * detail(soft) < detail(restored) < 1.05 * detail(sharp)


def test_an_equal_picture_lacks_nothing_but_the_asked_gain() -> None:
    sharp = texture(64, 64)
    assert np.abs(missing_contrast(sharp, sharp)).max() < 1e-6
    sharpened = sharp + missing_contrast(sharp, sharp, finest_gain=1.1)
    assert detail(sharp) < detail(sharpened) < 1.1 * detail(sharp)


def test_a_pixel_depends_on_its_surroundings_alone() -> None:
    sharp, soft = texture(120, 64), texture(120, 64, seed=1)
    part = slice(60 - REACH_PX, 60 + REACH_PX + 1)
    assert np.allclose(
        missing_contrast(sharp[part], soft[part])[REACH_PX], missing_contrast(sharp, soft)[60], atol=1e-6
    )
