import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import uniform_filter
from torch import Tensor

from stylegan_core.networks.layers.fourier_features import FourierFeatures

WAVES = 8


def scene(side_px: int = 64) -> Tensor:
    """Soft shapes, (1, 3, side, side) in [-1, 1]."""
    coarse = torch.rand(1, 3, side_px // 8, side_px // 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return F.interpolate(coarse, size=(side_px, side_px), mode="bicubic", align_corners=False).clamp(-1, 1)


def gradient(side_px: int = 64) -> Tensor:
    """Grey that rises by a twentieth of the range: a sky."""
    return torch.linspace(0.3, 0.4, side_px).expand(1, 3, side_px, side_px).contiguous()


def test_the_picture_comes_first_and_is_unchanged() -> None:
    given = scene()
    made = FourierFeatures(WAVES)(given)
    assert made.shape == (1, 3 + 2 * WAVES, 64, 64)
    assert torch.equal(made[:, :3], given)


def test_equals_its_definition_in_numpy() -> None:
    layer, given = FourierFeatures(WAVES), scene()
    smooth = given[0].double().numpy()
    for _ in range(3):
        smooth = uniform_filter(smooth, size=(1, 5, 5), mode="nearest")
    turns = np.einsum("kc,chw->khw", layer.turns.double().numpy()[..., 0, 0], smooth)
    radians = 2 * np.pi * turns
    down, right = (np.diff(radians, axis=axis, append=np.take(radians, [-1], axis)) for axis in (1, 2))
    amplitude = np.exp(-(down**2 + right**2) / (math.pi / 3) ** 2)
    expected = np.concatenate([amplitude * np.sin(radians), amplitude * np.cos(radians)])
    inside = (..., slice(8, -8), slice(8, -8))  # scipy repeats the edge in each pass, the layer once
    np.testing.assert_allclose(layer(given)[0, 3:].numpy()[inside], expected[inside], atol=2e-3)


def test_a_gradient_that_is_hardly_visible_becomes_waves_and_an_even_area_stays_even() -> None:
    layer = FourierFeatures(WAVES)
    assert layer(gradient())[:, 3:].std(dim=3).amax() > 0.5
    assert layer(torch.full((1, 3, 32, 32), 0.2))[:, 3:].std(dim=(2, 3)).amax() < 1e-5


def test_fast_waves_fade_where_they_would_alias() -> None:
    edge = torch.full((1, 3, 32, 32), -0.1)
    edge[..., 16:] = 0.1
    waves = FourierFeatures(WAVES)(edge)[:, 3:].unflatten(1, (2, WAVES))  # sines, cosines
    amplitude = waves.square().sum(dim=1).sqrt()[..., 15:17].mean(dim=(0, 2, 3))
    assert amplitude[-1] < 1e-3  # the fastest
    assert amplitude[0] > 0.3  # the slowest


@pytest.mark.parametrize("axis", [2, 3])
def test_a_shift_of_the_picture_shifts_the_waves(axis: int) -> None:
    layer, given = FourierFeatures(WAVES), scene()
    shifted = layer(given.roll(3, dims=axis))
    inside = (..., slice(12, -12), slice(12, -12))
    torch.testing.assert_close(shifted[inside], layer(given).roll(3, dims=axis)[inside], atol=1e-3, rtol=0)


def test_a_part_of_the_picture_has_exactly_the_waves_of_the_whole() -> None:
    layer, given = FourierFeatures(WAVES), scene()
    part = layer(given[..., 8:56, 8:56])[..., 8:-8, 8:-8]
    torch.testing.assert_close(part, layer(given)[..., 16:48, 16:48], atol=1e-6, rtol=0)


def test_waves_have_no_gradient_and_the_precision_of_autocast_does_not_reach_them() -> None:
    layer, given = FourierFeatures(WAVES), scene().requires_grad_()
    made = layer(given)
    (of_waves,) = torch.autograd.grad(made.sum(), given)
    torch.testing.assert_close(of_waves, torch.ones_like(given))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(given), made)
