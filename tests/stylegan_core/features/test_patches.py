import numpy as np
import pytest
from skimage.transform import downscale_local_mean
from skimage.util import view_as_windows

from stylegan_core.features.patches import area_downsampled, patch_count, projected_patches, random_directions


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).random((22, 17, 3), dtype=np.float32)


def test_downsampling_is_the_mean_of_whole_cells(picture: np.ndarray) -> None:
    expected = downscale_local_mean(picture[:20, :16], (4, 4, 1))
    np.testing.assert_allclose(area_downsampled(picture, 4), expected, atol=1e-6)
    assert area_downsampled(picture, 1) is picture


def test_directions_are_unit_vectors_that_depend_on_the_seed_alone() -> None:
    directions = random_directions(5, 3, 16, seed=1)
    np.testing.assert_allclose((directions**2).sum(axis=(0, 1, 2)), 1.0, rtol=1e-5)
    random_directions.cache_clear()
    assert np.array_equal(directions, random_directions(5, 3, 16, seed=1))
    assert not np.array_equal(directions, random_directions(5, 3, 16, seed=2))


def test_projections_are_those_of_patches_without_their_means(picture: np.ndarray) -> None:
    directions = random_directions(3, 3, 4, seed=0)
    windows = view_as_windows(picture, (3, 3, 3))[:, :, 0].reshape(-1, 3, 3, 3)
    centred = windows - windows.mean(axis=(1, 2), keepdims=True)
    expected = np.einsum("pyxc,yxck->kp", centred, directions)
    np.testing.assert_allclose(projected_patches(picture, directions), expected, atol=1e-5)
    some = np.array([0, 7, 41, 299])
    np.testing.assert_allclose(projected_patches(picture, directions, some), expected[:, some], atol=1e-5)
    assert patch_count([picture], 3) == [len(windows)]


def test_a_patch_larger_than_the_picture_is_refused(picture: np.ndarray) -> None:
    with pytest.raises(ValueError, match="17 x 22 px is smaller than a patch of 19 px"):
        projected_patches(picture, random_directions(19, 3, 1, seed=0))
