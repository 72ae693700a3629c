import numpy as np
import pytest

from stylegan_core.metrics.diversity import COLLAPSED_BELOW, diversity, spread


def pictures(count: int = 5, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    tints = random.random((count, 1, 1, 3), dtype=np.float32)
    return list(0.6 * tints + 0.4 * random.random((count, 32, 48, 3), dtype=np.float32))


def test_spread_against_means_of_blocks_one_by_one() -> None:
    given = pictures()
    blocks = [p.reshape(8, 4, 8, 6, 3).mean(axis=(1, 3)) for p in given]
    expected = np.mean([min(np.sqrt(np.mean((a - b) ** 2)) for b in blocks if b is not a) for a in blocks])
    assert spread(given) == pytest.approx(expected, rel=1e-5)


def test_the_identity_keeps_and_a_constant_loses_all_diversity() -> None:
    given = pictures()
    assert diversity(given, given) == 1.0
    assert diversity([given[0]] * 5, given) == 0.0
    assert diversity([given[0], given[1]] * 2, given[:4]) == 0.0  # two modes are collapsed too
    assert diversity([0.5 * p for p in given], given) == pytest.approx(0.5)


def test_grain_on_one_picture_is_no_diversity() -> None:
    random = np.random.default_rng(1)
    grainy = [np.float32(0.5) + 0.1 * random.standard_normal((128, 128, 3)).astype(np.float32) for _ in range(5)]
    value = diversity(grainy, pictures())
    assert value is not None
    assert 0 < value < COLLAPSED_BELOW


def test_says_nothing_where_nothing_can_be_said() -> None:
    given = pictures()
    assert diversity(given[:1], given) is None
    assert diversity(given, given[:1]) is None
    assert diversity(given, [given[0], given[0]]) is None
    with pytest.raises(ValueError, match="two pictures"):
        spread(given[:1])


def test_sizes_may_differ() -> None:
    flat = [np.full((h, w, 3), v, np.float32) for h, w, v in ((9, 50, 0.2), (64, 64, 0.5))]
    assert spread(flat) == pytest.approx(0.3, abs=1e-6)
