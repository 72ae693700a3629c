import numpy as np
import pytest
import torch
import torch.nn.functional as F

from stylegan_core.features.extractors import load_extractor
from stylegan_core.features.random_filters import LAYERS, RandomFilters


def pictures(side_px: int = 32, count: int = 2) -> torch.Tensor:
    """Soft patterns about as smooth as photographs."""
    noise = torch.rand(count, 3, side_px // 4, side_px // 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return F.interpolate(noise, size=(side_px, side_px), mode="bicubic").clamp(-1, 1)


def test_the_bank_is_the_same_on_every_machine() -> None:
    buffers = dict(RandomFilters().named_buffers())
    shapes = {name: tuple(buffer.shape) for name, buffer in buffers.items()}
    assert shapes["filters_7_px"] == (16, 3, 7, 7)
    assert shapes["mixing"] == (64, 64, 3, 3)
    found = {name: (float(b.double().sum()), float(b.double().square().sum())) for name, b in buffers.items()}
    # Recorded once: libraries of linear algebra differ in the last digits, another draw in the first.
    assert set(found) == set(FINGERPRINTS)
    for name, (total, squares) in FINGERPRINTS.items():
        assert found[name] == (pytest.approx(total, abs=2e-3), pytest.approx(squares, rel=2e-4)), name


FINGERPRINTS = {  # sum and sum of squares
    "filters_1_px": (0.1765, 391.526),
    "thresholds_1_px": (0.1455, 4.355),
    "filters_3_px": (-2.855, 1536.082),
    "thresholds_3_px": (-1.0432, 5.487),
    "filters_5_px": (-1.2527, 1672.026),
    "thresholds_5_px": (-1.3333, 3.827),
    "filters_7_px": (-0.0866, 1590.846),
    "thresholds_7_px": (0.7997, 5.179),
    "mixing": (0.0, 130.028),
}


def test_filters_answer_patterns_of_natural_patches_evenly() -> None:
    """Patches drawn with the assumed covariance; faint patterns, taken for noise, answer less."""
    bank = RandomFilters()
    rng = np.random.default_rng(0)
    places = np.array([(row, column) for row in range(5) for column in range(5)])
    distances = np.sqrt(((places[:, None] - places[None]) ** 2).sum(-1))
    covariance = np.kron(0.9 + 0.1 * np.eye(3), 0.95**distances) * 0.25
    patches = rng.multivariate_normal(np.zeros(75), covariance, size=20_000)
    responses = patches @ bank.get_buffer("filters_5_px").flatten(1).double().numpy().T
    assert np.all((responses.std(axis=0) > 0.6) & (responses.std(axis=0) < 1.05))


def test_layers_have_their_sizes_and_agree_with_plain_convolutions() -> None:
    bank, given = RandomFilters(), pictures()
    found = bank(given, LAYERS)
    assert list(found) == list(LAYERS)
    for block in range(1, 6):
        assert found[f"block{block}_conv1"].shape == found[f"block{block}_conv2"].shape
        assert found[f"block{block}_conv1"].shape == (2, 64, 32 >> (block - 1), 32 >> (block - 1))
    half = given.unflatten(2, (16, 2)).unflatten(4, (16, 2)).mean(dim=(3, 5))
    inside = (slice(None), slice(None), slice(3, -3), slice(3, -3))  # where the border plays no part
    for index, size in enumerate((1, 3, 5, 7)):
        filters, thresholds = bank.get_buffer(f"filters_{size}_px"), bank.get_buffer(f"thresholds_{size}_px")
        patches = F.unfold(half, size, padding=size // 2).transpose(1, 2)  # (N, h * w, 3 * size**2)
        expected = (patches @ filters.flatten(1).T + thresholds).clamp(min=0).transpose(1, 2).view(2, 16, 16, 16)
        found_here = found["block2_conv1"][:, 16 * index : 16 * index + 16]
        torch.testing.assert_close(found_here[inside], expected[inside], atol=1e-4, rtol=1e-4)


def test_some_layers_are_the_same_as_all() -> None:
    bank, given = RandomFilters(), pictures()
    everything = bank(given, LAYERS)
    some = bank(given, ["block4_conv2", "block2_conv1"])
    assert list(some) == ["block4_conv2", "block2_conv1"]
    assert all(torch.equal(some[name], everything[name]) for name in some)


def test_nothing_of_it_is_trained_or_saved() -> None:
    bank = RandomFilters()
    assert not list(bank.parameters())
    assert not bank.state_dict()


def test_wrong_layers_and_small_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="no layer 'block6_conv1'; its layers are block1_conv1"):
        RandomFilters()(pictures(), ["block6_conv1"])
    with pytest.raises(ValueError, match="block 5 needs sides of at least 16 px, got 8 x 8"):
        RandomFilters()(pictures(8), ["block5_conv1"])


def test_it_is_made_once_a_process() -> None:
    assert load_extractor("random_filters", None, torch.device("cpu")) is load_extractor(
        "random_filters", None, torch.device("cpu")
    )
