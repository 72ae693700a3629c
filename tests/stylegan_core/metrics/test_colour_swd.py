import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from stylegan_core.features.patches import random_directions
from stylegan_core.metrics.colour_swd import colour_swd


def noise(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


def test_agrees_with_scipy_along_each_direction() -> None:
    a, b = noise(0, 40, 50), noise(1, 70, 30) ** 2 * np.array([1.0, 0.5, 0.2], np.float32)
    axes = random_directions(1, 3, 8, 3).reshape(3, 8)
    expected = np.mean([wasserstein_distance(a.reshape(-1, 3) @ d, b.reshape(-1, 3) @ d) for d in axes.T])
    assert colour_swd(a, b, directions=8, seed=3) == pytest.approx(expected, rel=5e-3)


def test_place_does_not_matter_and_colour_does() -> None:
    a = noise(0, 32, 32)
    moved = a.reshape(-1, 3)[np.random.default_rng(2).permutation(1024)].reshape(16, 64, 3)
    assert colour_swd(a, moved) < 1e-6
    grey = np.full((8, 8, 3), 0.5, np.float32)
    # A shift of every colour by a vector moves each projection by its own part of it.
    shift = np.array([0.2, -0.1, 0.3], np.float32)
    axes = random_directions(1, 3, 32, 0).reshape(3, 32)
    assert colour_swd(grey, grey + shift) == pytest.approx(np.abs(shift @ axes).mean(), rel=1e-4)
    assert colour_swd([a, grey], [grey, a]) == 0.0


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one picture"):
        colour_swd([], noise(0, 8, 8))
