"""A mean of two pictures keeps the energy of their fine bands, and nothing else changes."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import convolve1d, uniform_filter

from stylegan_core.networks.layers.mixture import mix

_BINOMIAL = np.array([1, 6, 15, 20, 15, 6, 1]) / 64


def noise(seed: int, side_px: int = 64) -> torch.Tensor:
    return torch.rand(1, 3, side_px, side_px, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def fine(picture: np.ndarray) -> np.ndarray:
    """The fine band of a picture, (C, H, W)."""
    soft = picture
    for axis in (1, 2):
        soft = convolve1d(soft, _BINOMIAL, axis=axis, mode="nearest")
    return picture - soft


def energy(picture: np.ndarray) -> float:
    return float(np.square(fine(picture)).mean())


def test_it_is_the_mean_with_the_gain_of_the_formula() -> None:
    first, second = (noise(seed, 24)[0].double().numpy() for seed in (0, 1))
    share = np.linspace(0, 1, 24)[None, None, :] * np.ones((1, 24, 1))
    band = (1 - share) * fine(first) + share * fine(second)
    bands = (band, fine(first) - fine(second))
    there, apart = (uniform_filter(np.square(each).mean(axis=0), 9, mode="nearest") for each in bands)
    gain = np.sqrt((there + share * (1 - share) * apart + 1e-6) / (there + 1e-6)).clip(max=2)
    expected = (1 - share) * first + share * second + (gain - 1) * band
    made = mix(*(torch.from_numpy(each)[None] for each in (first, second, share)))
    np.testing.assert_allclose(made[0].numpy(), expected, atol=1e-10)


def test_strokes_that_do_not_lie_on_each_other_keep_their_contrast() -> None:
    first, second = noise(0), noise(1)
    share = torch.full((1, 1, 64, 64), 0.5)
    wanted = (energy(first[0].numpy()) + energy(second[0].numpy())) / 2
    assert energy(((first + second) / 2)[0].numpy()) < 0.6 * wanted
    assert abs(energy(mix(first, second, share)[0].numpy()) / wanted - 1) < 0.1


def test_nothing_changes_where_both_agree_or_one_counts_alone() -> None:
    first, second = noise(0), noise(1)
    share = torch.zeros(1, 1, 64, 64)
    share[..., 32:] = 1.0
    made = mix(first, second, share)
    torch.testing.assert_close(made[..., :32], first[..., :32])
    torch.testing.assert_close(made[..., 32:], second[..., 32:])
    torch.testing.assert_close(mix(first, first, torch.full_like(share, 0.3)), first)


def test_it_reaches_seven_pixels() -> None:
    first, second, share = noise(0).double(), noise(1).double(), torch.full((1, 1, 64, 64), 0.5, dtype=torch.float64)
    changed = first.clone()
    changed[..., 32, 32] += 1
    rows, columns = (mix(changed, second, share) - mix(first, second, share)).abs().amax((0, 1)).nonzero().unbind(1)
    assert [(each.min().item(), each.max().item()) for each in (rows, columns)] == [(25, 39), (25, 39)]
