import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, median_filter
from skimage.color import rgb2lab
from skimage.data import astronaut, coffee

from stylegan_core.metrics.baselines import (
    Baseline,
    baselines,
    bilateral,
    colour_statistics,
    gaussian,
    median,
    reinhard,
    tuned,
)
from stylegan_core.metrics.mse import mse


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return astronaut()[80:144, 180:260].astype(np.float32) / 255


def test_gaussian_and_median_are_scipys(picture: np.ndarray) -> None:
    inner = (slice(16, -16), slice(16, -16))
    expected = gaussian_filter(picture, (1.5, 1.5, 0), truncate=4)
    assert np.abs(gaussian(picture, 1.5) - expected)[inner].max() < 1e-3
    expected = median_filter(picture, (7, 7, 1))
    assert np.abs(median(picture, 7) - expected)[inner].max() < 1e-6


def test_bilateral_is_its_definition(picture: np.ndarray) -> None:
    sigma_px, sigma_unit, radius = 1.5, 0.3, 3
    centre, total, weights = picture[8:-8, 8:-8].astype(np.float64), 0.0, 0.0
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            if dy * dy + dx * dx <= radius * radius:
                other = picture[8 + dy : 56 + dy, 8 + dx : 72 + dx].astype(np.float64)
                distance = np.abs(other - centre).sum(axis=2, keepdims=True)
                weight = np.exp(-(dy * dy + dx * dx) / (2 * sigma_px**2) - distance**2 / (2 * sigma_unit**2))
                total, weights = total + weight * other, weights + weight
    assert np.abs(bilateral(picture, sigma_px, sigma_unit)[8:-8, 8:-8] - total / weights).max() < 1e-3


def test_reinhard_gives_the_styles_mean_and_spread(picture: np.ndarray) -> None:
    style = coffee()[::8, ::8].astype(np.float32) / 255 * 0.4 + 0.3
    result = reinhard(picture * 0.3 + 0.3, colour_statistics([style]))
    wanted, found = (rgb2lab(p).reshape(-1, 3) for p in (style, result))
    assert found.mean(axis=0) == pytest.approx(wanted.mean(axis=0), abs=0.5)
    assert found.std(axis=0) == pytest.approx(wanted.std(axis=0), rel=0.05)
    assert np.array_equal(reinhard(picture, colour_statistics([style]), 0.0), picture)


def test_tuning_finds_the_setting_that_made_the_truth(picture: np.ndarray) -> None:
    grid = baselines([picture])
    truth = median(picture, 7)
    best = tuned(
        [picture],
        grid,
        {"mse": lambda pictures: -mse(pictures, [truth]), "brightness": lambda pictures: float(pictures[0].mean())},
    )
    assert (best["mse"][0].family, best["mse"][0].settings) == ("median", "7 px")
    assert sorted(b.family for b in best["mse"]) == ["bilateral", "gaussian", "median", "reinhard"]
    assert best["brightness"] != best["mse"]


def test_without_style_pictures_there_is_no_colour_transfer() -> None:
    assert {b.family for b in baselines([])} == {"gaussian", "median", "bilateral"}


def test_filters_stay_in_range_and_keep_the_shape(picture: np.ndarray) -> None:
    baseline: Baseline
    for baseline in baselines([picture]):
        filtered = baseline.apply(picture)
        assert filtered.shape == picture.shape
        assert filtered.dtype == np.float32
        assert filtered.min() >= -1e-6
        assert filtered.max() <= 1 + 1e-6
