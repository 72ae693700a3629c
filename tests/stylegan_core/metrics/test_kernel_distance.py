import math

import numpy as np
import pytest
import torch

from stylegan_core.features.random_filters import RandomFilters
from stylegan_core.metrics.kernel_distance import (
    distance_of_statistics,
    kernel_distance,
    picture_statistics,
    random_feature_kid,
)
from stylegan_core.metrics.picture_features import FeatureStatistics


def textures(count: int, seed: int, *, smooth_px: float = 1.0, grey: float = 0.5) -> list[np.ndarray]:
    """(48, 40, 3) pictures of blurred noise about a grey."""
    import cv2

    rng = np.random.default_rng(seed)
    pictures = []
    for _ in range(count):
        noise = cv2.GaussianBlur(rng.standard_normal((48, 40, 3)).astype(np.float32), (0, 0), smooth_px)
        pictures.append(np.clip(grey + 0.1 * noise / noise.std(), 0, 1).astype(np.float32))
    return pictures


def test_agrees_with_the_definition() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((5, 7)), rng.standard_normal((4, 7)) + 0.5

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return math.exp(-sum((float(p) - float(q)) ** 2 for p, q in zip(x, y, strict=True)) / 14)

    same_a = [kernel(a[i], a[j]) for i in range(5) for j in range(5) if i != j]
    same_b = [kernel(b[i], b[j]) for i in range(4) for j in range(4) if i != j]
    across = [kernel(x, y) for x in a for y in b]
    assert kernel_distance(a, b) == pytest.approx(np.mean(same_a) + np.mean(same_b) - 2 * np.mean(across), rel=1e-12)


def test_is_unbiased_for_samples_of_one_distribution() -> None:
    rng = np.random.default_rng(1)
    values = [kernel_distance(rng.standard_normal((6, 3)), rng.standard_normal((6, 3))) for _ in range(600)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0


def test_statistics_are_the_means_and_deviations_of_every_layer() -> None:
    (picture,) = textures(1, 2)
    (row,) = picture_statistics([picture])
    layers = RandomFilters()(torch.from_numpy(picture).permute(2, 0, 1)[None] * 2 - 1, RandomFilters.layers)
    expected = []
    for layer in layers.values():
        response = layer[0].double().numpy()
        expected += [response.mean(axis=(1, 2)), response.std(axis=(1, 2))]
    np.testing.assert_allclose(row, np.log(np.concatenate(expected) + 0.01), rtol=1e-5, atol=1e-5)


def test_tells_colours_and_textures_apart_and_not_samples_of_one_set() -> None:
    reference, same = textures(12, 3), textures(12, 4)
    noise = abs(random_feature_kid(reference, same))
    smoother = random_feature_kid(reference, textures(12, 5, smooth_px=2.5))
    brighter = random_feature_kid(reference, textures(12, 6, grey=0.65))
    assert smoother > 10 * noise
    assert brighter > 10 * noise
    assert random_feature_kid(reference, textures(12, 7, smooth_px=1.5)) < smoother


def test_channels_that_the_reference_hardly_shows_do_not_put_all_pictures_at_the_same_distance() -> None:
    rng = np.random.default_rng(0)
    reference, same, other = (rng.standard_normal((count, 40)) for count in (6, 30, 30))
    other += 1.0
    for rows, responding in ((reference, 0), (same, 10), (other, 10)):
        rows[:, 20:] = 0.0
        rows[rng.permutation(len(rows))[:responding], 20:] = 1.0
    near, far = (
        distance_of_statistics(FeatureStatistics("vgg16_hed", rows, {}), FeatureStatistics("vgg16_hed", reference, {}))
        for rows in (same, other)
    )
    assert near < 0.5 * far


def test_refuses_too_few_and_too_small_pictures() -> None:
    with pytest.raises(ValueError, match="at least two rows on each side, got"):
        random_feature_kid(textures(1, 0), textures(3, 1))
    with pytest.raises(ValueError, match="32 px"):
        random_feature_kid([np.zeros((31, 40, 3), np.float32)] * 2, textures(2, 1))
