import numpy as np
import pytest
from scipy.stats import wasserstein_distance
from sklearn.datasets import load_sample_image

from stylegan_core.features.patches import random_directions
from stylegan_core.metrics.swd import patch_swd


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    import cv2

    return cv2.resize(load_sample_image("china.jpg"), (96, 64), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _by_the_definition(a: np.ndarray, b: np.ndarray, sizes: tuple[int, ...], scales: tuple[int, ...]) -> float:
    import cv2

    distances = []
    for scale in scales:
        small = [
            cv2.resize(p, (p.shape[1] // scale, p.shape[0] // scale), interpolation=cv2.INTER_AREA).astype(np.float64)
            for p in (a, b)
        ]
        for size in sizes:
            directions = random_directions(size, 3, 8, 5)
            patches = [
                [
                    p[y : y + size, x : x + size]
                    for y in range(p.shape[0] - size + 1)
                    for x in range(p.shape[1] - size + 1)
                ]
                for p in small
            ]
            left, right = ([patch - patch.mean(axis=(0, 1)) for patch in side] for side in patches)
            distances += [
                wasserstein_distance(
                    [(p * directions[..., k]).sum() for p in left], [(p * directions[..., k]).sum() for p in right]
                )
                for k in range(8)
            ]
    return float(np.mean(distances))


def test_it_is_the_mean_wasserstein_distance_of_projected_zero_mean_patches(photograph: np.ndarray) -> None:
    a, b = photograph[:32, :40], photograph[20:52, 30:70]
    expected = _by_the_definition(a, b, (3, 5), (1, 2))
    actual = patch_swd([a], [b], sizes=(3, 5), scales=(1, 2), projections=8, seed=5, max_patches=None)
    assert actual == pytest.approx(expected, rel=1e-4)


def test_equal_pictures_and_shifted_colours_are_at_distance_zero(photograph: np.ndarray) -> None:
    assert patch_swd([photograph], [photograph]) == 0.0
    assert patch_swd([photograph], [photograph + np.float32([0.1, -0.2, 0.05])]) < 1e-6


def test_the_place_of_things_does_not_matter_but_their_sharpness_does(photograph: np.ndarray) -> None:
    import cv2

    left, right = photograph[:, :48], photograph[:, 48:]
    assert patch_swd([left, right], [right, left]) == pytest.approx(0.0, abs=1e-7)
    blurred, more_blurred = (cv2.GaussianBlur(photograph, (0, 0), sigma) for sigma in (0.7, 2))
    assert 0.001 < patch_swd([photograph], [blurred]) < patch_swd([photograph], [more_blurred])


def test_a_subsample_estimates_the_whole_and_depends_on_its_seed_alone(photograph: np.ndarray) -> None:
    import cv2

    blurred = cv2.GaussianBlur(photograph, (7, 7), 2)
    whole = patch_swd([photograph], [blurred], max_patches=None)
    part = patch_swd([photograph], [blurred], max_patches=1500)
    assert part == pytest.approx(whole, rel=0.1)
    assert part == patch_swd([photograph], [blurred], max_patches=1500)


def test_sides_may_differ_in_number_and_size(photograph: np.ndarray) -> None:
    several = [photograph[:50, :60], photograph[10:, 20:]]
    assert 0 < patch_swd(several, [photograph]) < 0.02


def test_tensors_are_taken_as_batches(photograph: np.ndarray) -> None:
    import torch

    blurred = photograph * 0.5
    batch = torch.from_numpy(np.stack([photograph, blurred]).transpose(0, 3, 1, 2).copy())
    assert patch_swd(batch, [photograph, photograph]) == patch_swd([photograph, blurred], [photograph, photograph])


def test_a_picture_that_is_too_small_is_named() -> None:
    with pytest.raises(ValueError, match="at least 28 px a side, got 24 x 24 px"):
        patch_swd([np.zeros((24, 24, 3), np.float32)], [np.zeros((24, 24, 3), np.float32)])
    with pytest.raises(ValueError, match="at least one"):
        patch_swd([], [np.zeros((64, 64, 3), np.float32)])
