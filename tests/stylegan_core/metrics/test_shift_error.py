import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from stylegan_core.metrics.shift_error import BORDER_PX, MOST_PX, shift_error


def picture(height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)


def block_mean(given: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 px, repeated: the plainest network with a stride."""
    padded = np.pad(given, [(0, given.shape[0] % 2), (0, given.shape[1] % 2), (0, 0)], mode="edge")
    means = padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2, 3).mean(axis=(1, 3))
    return means.repeat(2, axis=0).repeat(2, axis=1)[: given.shape[0], : given.shape[1]]


def test_agrees_with_results_that_scipy_moves_back() -> None:
    given = picture()
    inner = given[1:, 1:]
    border = min(inner.shape[:2]) // 4
    assert border < BORDER_PX
    inside = (slice(border, -border), slice(border, -border))
    squares = []
    for window, offset in ((given[1:, :-1], (0, -1, 0)), (given[:-1, 1:], (-1, 0, 0))):
        moved_back = shift(block_mean(window), offset, order=0)
        squares.append(np.square(moved_back - block_mean(inner))[inside].mean())
    assert shift_error(block_mean, [given]) == pytest.approx(255 * np.sqrt(np.mean(squares)), rel=1e-5)


def test_of_block_means_of_noise_has_a_closed_form() -> None:
    pictures = [picture(400, 400, seed) for seed in range(3)]
    # The blocks before and after a shift share 2 pixels of 4; the other 2 + 2 have weight 1/4 and variance 1/12.
    assert shift_error(block_mean, pictures) == pytest.approx(255 * np.sqrt(4 / 16 / 12), rel=0.02)


def test_filters_are_equivariant_and_a_fixed_pattern_is_not() -> None:
    given = [picture(80, 96)]
    assert shift_error(lambda p: gaussian_filter(p, (1.5, 1.5, 0)), given) == pytest.approx(0.0, abs=0.01)
    assert shift_error(lambda p: p, given) == 0.0
    columns = np.arange(200) % 2

    def striped(p: np.ndarray) -> np.ndarray:
        return 0.5 * p + 0.1 * columns[: p.shape[1], None].astype(np.float32)

    # The stripes do not move with the picture: 25.5 codes in one of the two shifts.
    assert shift_error(striped, given) == pytest.approx(25.5 / np.sqrt(2), rel=1e-4)


def test_a_large_picture_is_measured_in_its_middle() -> None:
    seen = []

    def watched(p: np.ndarray) -> np.ndarray:
        seen.append(p.shape)
        return p

    shift_error(watched, [picture(MOST_PX + 100, 40)])
    assert set(seen) == {(MOST_PX - 1, 39, 3)}


def test_refuses_what_it_cannot_measure() -> None:
    with pytest.raises(ValueError, match="8 px"):
        shift_error(lambda p: p, [])
    with pytest.raises(ValueError, match="8 px"):
        shift_error(lambda p: p, [picture(7, 64)])
