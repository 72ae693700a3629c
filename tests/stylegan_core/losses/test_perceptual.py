import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from stylegan_core.losses.perceptual import (
    feature_distance,
    gram_distance,
    gram_matrices,
    moment_distance,
    sliced_feature_distance,
    structure_distance,
    total_variation,
    unit_directions,
)

CPU = torch.device("cpu")


def features(seed: int, count: int = 2) -> torch.Tensor:
    return torch.randn(count, 4, 5, 6, generator=torch.Generator().manual_seed(seed))


def test_gram_matrices_are_second_moments() -> None:
    found = gram_matrices(features(0))
    for matrix, picture in zip(found.numpy(), features(0).numpy(), strict=True):
        values = picture.reshape(4, -1)
        expected = np.cov(values, bias=True) + np.outer(values.mean(1), values.mean(1))
        np.testing.assert_allclose(matrix, expected, rtol=1e-5, atol=1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(gram_matrices(features(0)), found)


def test_gram_distance_takes_each_result_to_the_mean_of_the_style() -> None:
    made, style = features(0), features(1, count=3)
    mean = gram_matrices(style).mean(0)
    expected = np.mean([float(((gram_matrices(made[i : i + 1])[0] - mean) ** 2).mean()) for i in range(2)])
    assert gram_distance(made, style).item() == pytest.approx(expected, rel=1e-5)
    assert gram_distance(made[:1], made[:1]).item() == 0.0


def test_sliced_distance_takes_each_result_to_the_style_whatever_lies_where() -> None:
    torch.manual_seed(0)
    made, style, directions = features(0).flatten(2), 2 * features(1, 1).flatten(2)[0] + 1, unit_directions(4, 8, CPU)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(8))
    ours = np.sort(directions.numpy() @ made.numpy(), axis=-1)
    theirs = np.sort(directions.numpy() @ style.numpy(), axis=-1)
    found = sliced_feature_distance(made, style, directions)
    assert found.item() == pytest.approx(float(np.mean((ours - theirs) ** 2)), rel=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert sliced_feature_distance(made, style, directions).item() == pytest.approx(found.item(), rel=1e-6)
    shuffled = made[:1, :, torch.randperm(30)]
    assert sliced_feature_distance(shuffled, made[0], directions).item() < 1e-10
    # Along one direction of one dimension the root of W2 squared is no less than W1.
    one = sliced_feature_distance(made[:1, :1], style[:1], torch.ones(1, 1)).item()
    assert one**0.5 >= wasserstein_distance(made[0, 0].numpy(), style[0].numpy()) > 0


def test_structure_leaves_brightness_and_contrast_to_the_style() -> None:
    content = features(0)
    other = content * torch.tensor([0.5, 2.0, 3.0, 1.0]).view(1, 4, 1, 1) + 7
    assert structure_distance(content, other).item() < 1e-3 < feature_distance(content, other).item()
    # Of independent features: 2, two unit variances.
    assert structure_distance(features(0, 64), features(1, 64)).item() == pytest.approx(2.0, abs=0.1)
    flat = torch.full_like(content, 3.0)
    assert structure_distance(flat, flat + 1e-6).item() < 1e-6


def test_total_variation_of_a_ramp_is_its_slope() -> None:
    ramp = torch.arange(5.0).view(1, 1, 1, 5) * 0.25 + torch.arange(4.0).view(1, 1, 4, 1)
    assert total_variation(ramp).item() == pytest.approx(1.25)


def test_moments_are_compared_channel_by_channel_with_their_own_picture() -> None:
    made, style = features(0).numpy(), features(1).numpy()
    scale = style.var(axis=(2, 3)).mean(axis=0) + 1e-4
    means = (made.mean(axis=(2, 3)) - style.mean(axis=(2, 3))) ** 2
    deviations = (made.std(axis=(2, 3)) - style.std(axis=(2, 3))) ** 2
    expected = ((means + deviations) / scale).mean()
    assert moment_distance(features(0), features(1)).item() == pytest.approx(expected, rel=1e-4)


def test_moments_do_not_depend_on_a_channels_scale() -> None:
    scale = torch.tensor([1.0, 10.0, 100.0, 1000.0]).view(4, 1, 1)
    expected = moment_distance(features(0), features(1))
    torch.testing.assert_close(moment_distance(scale * features(0), scale * features(1)), expected, atol=0, rtol=1e-3)


def test_flat_features_have_finite_gradients() -> None:
    made = torch.zeros(1, 2, 3, 3, requires_grad=True)
    moment_distance(made, torch.zeros(1, 2, 3, 3)).backward()
    assert made.grad is not None
    assert made.grad.isfinite().all()
