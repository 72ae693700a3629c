import numpy as np
import pytest
import torch

from stylegan_core.features.random_filters import RandomFilters
from stylegan_core.metrics.picture_features import STYLE_LAYERS
from stylegan_core.metrics.style_distance import style_distance


def noise(count: int, seed: int, spread: float = 0.1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [(0.5 + spread * rng.standard_normal((40, 36, 3))).clip(0, 1).astype(np.float32) for _ in range(count)]


def test_agrees_with_the_definition() -> None:
    ours, theirs = noise(2, 0), noise(3, 1, spread=0.2)

    def gram(pictures: list[np.ndarray], layer: str) -> np.ndarray:
        found = []
        for picture in pictures:
            features = RandomFilters()(torch.from_numpy(picture).permute(2, 0, 1)[None] * 2 - 1, [layer])[layer][0]
            flat = features.double().flatten(1).numpy()
            found.append(np.einsum("ap,bp->ab", flat, flat) / flat.shape[1])
        return np.mean(found, axis=0)

    expected = []
    for layer in STYLE_LAYERS["random_filters"]:
        a, b = gram(ours, layer), gram(theirs, layer)
        expected.append(((a - b) ** 2).sum() / (b**2).sum())
    assert style_distance(ours, theirs, "random_filters") == pytest.approx(np.mean(expected), rel=1e-4)


def test_equal_textures_are_near_and_others_are_not() -> None:
    reference = noise(4, 0)
    assert style_distance(reference, reference, "random_filters") == 0.0
    same = style_distance(noise(4, 1), reference, "random_filters")
    assert style_distance(noise(4, 2, spread=0.2), reference, "random_filters") > 20 * same


def test_an_empty_side_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one picture on each side"):
        style_distance([], noise(1, 0), "random_filters")
