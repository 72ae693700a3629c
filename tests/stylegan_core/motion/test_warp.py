import numpy as np

from stylegan_core.motion.camera import inverse
from stylegan_core.motion.warp import inside, sample, sampling_grid

ZOOM = np.array([[0.9, 0.05, 4.0], [-0.05, 0.9, 7.0]])


def test_samples_follow_a_smooth_surface_below_the_pixel() -> None:
    y, x = np.mgrid[:60, :80].astype(np.float64)

    def surface(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.stack([0.5 + 0.4 * np.sin(x / 4 + k) * np.cos(y / 5) for k in range(3)], axis=-1)

    points = sampling_grid(ZOOM, 60, 80)
    warped = sample(surface(x, y).astype(np.float32), points)
    mask = inside(points, (60, 80), margin_px=4)
    expected = surface(ZOOM[0, 0] * x + ZOOM[0, 1] * y + ZOOM[0, 2], ZOOM[1, 0] * x + ZOOM[1, 1] * y + ZOOM[1, 2])
    assert mask.mean() > 0.5
    assert np.abs(warped - expected)[mask].max() < 1e-3


def test_a_picture_holds_all_of_itself_but_its_margin() -> None:
    points = sampling_grid(inverse(inverse(np.array([[1.0, 0, 0], [0, 1, 0]]))), 10, 20)
    assert inside(points, (10, 20)).all()
    assert inside(points, (10, 20), margin_px=2).sum() == 6 * 16
