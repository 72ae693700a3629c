import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from stylegan_core.losses.style import (
    colour_and_surface_distance,
    feature_matching,
    sliced_patch_distance,
    zero_mean_directions,
)

CPU = torch.device("cpu")


def test_directions_are_unit_vectors_of_zero_mean_and_seeded() -> None:
    torch.manual_seed(0)
    directions = zero_mean_directions(5, 7, CPU)
    assert directions.shape == (7, 3, 5, 5)
    torch.testing.assert_close(directions.flatten(1).norm(dim=1), torch.ones(7))
    torch.testing.assert_close(directions.mean(dim=(2, 3)), torch.zeros(7, 3), atol=1e-6, rtol=0)
    torch.manual_seed(0)
    assert torch.equal(directions, zero_mean_directions(5, 7, CPU))


def test_agrees_with_scipy_on_patches_cut_out_one_by_one() -> None:
    torch.manual_seed(0)
    made, real, directions = torch.randn(2, 3, 8, 9), torch.randn(2, 3, 8, 9) * 2, zero_mean_directions(3, 4, CPU)

    def projections(pictures: torch.Tensor, direction: torch.Tensor) -> list[float]:
        return [
            float((pictures[n, :, y : y + 3, x : x + 3] * direction).sum())
            for n in range(2)
            for y in range(6)
            for x in range(7)
        ]

    expected = np.mean([wasserstein_distance(projections(made, d), projections(real, d)) for d in directions])
    assert sliced_patch_distance(made, real, directions).item() == pytest.approx(expected, rel=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert sliced_patch_distance(made, real, directions).item() == pytest.approx(expected, rel=1e-5)


def test_colour_and_place_do_not_matter() -> None:
    torch.manual_seed(0)
    picture, directions = torch.randn(1, 3, 12, 12), zero_mean_directions(3, 4, CPU)
    tinted = picture + torch.tensor([0.3, -0.2, 0.9]).view(1, 3, 1, 1)
    assert sliced_patch_distance(picture, tinted, directions).item() < 1e-5
    pair = torch.cat([picture, tinted * 2])
    assert sliced_patch_distance(pair, pair.flip(0), directions).item() < 1e-5


def test_feature_matching_is_the_mean_over_layers_and_holds_the_truth() -> None:
    fake = [torch.zeros(1, 2, 4, 4, requires_grad=True), torch.ones(1, 1, 2, 2, requires_grad=True)]
    real = [torch.full((1, 2, 4, 4), 3.0, requires_grad=True), torch.zeros(1, 1, 2, 2, requires_grad=True)]
    loss = feature_matching(fake, real)
    loss.backward()
    assert loss.item() == 2.0
    assert fake[0].grad is not None
    assert real[0].grad is None


def test_colours_and_surfaces_vanish_where_both_agree_wherever_they_are() -> None:
    torch.manual_seed(0)
    pictures = torch.rand(2, 3, 32, 32) * 2 - 1
    shuffled = pictures.flip(3)  # other places, same colours; mirrored patches of noise are of the same kind
    assert colour_and_surface_distance(pictures, pictures) == 0
    torch.manual_seed(0)
    alike = colour_and_surface_distance(shuffled, pictures)
    torch.manual_seed(0)
    brighter = colour_and_surface_distance(0.5 * shuffled + 0.5, pictures)
    assert alike < 0.3 * brighter
