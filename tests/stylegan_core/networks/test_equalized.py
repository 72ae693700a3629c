import math

import torch
from torch import nn

from stylegan_core.networks.equalized import equalize
from stylegan_core.networks.spectral import spectral_norm


def build() -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 40, 3), nn.Flatten(), nn.Linear(40, 5))
    for layer in (network[0], network[2]):
        nn.init.kaiming_normal_(layer.weight)
    return network


def test_the_network_computes_the_same() -> None:
    plain, equalized = build(), equalize(build())
    pictures = torch.randn(2, 3, 3, 3)
    torch.testing.assert_close(equalized(pictures), plain(pictures))


def test_stored_weights_have_unit_scale_and_biases_stay() -> None:
    stored = dict(equalize(build()).named_parameters())
    weights = [value.detach() for name, value in stored.items() if name.endswith("original")]
    assert [tuple(weight.shape) for weight in weights] == [(40, 3, 3, 3), (5, 40)]
    assert all(0.85 < float(weight.std()) < 1.15 for weight in weights)
    assert "0.bias" in stored


def test_one_step_of_adam_changes_a_weight_by_the_rate_times_hes_constant() -> None:
    plain, equalized = build(), equalize(build())
    before = plain[0].weight.detach().clone()
    adam = torch.optim.Adam(equalized.parameters(), lr=0.01)
    equalized(torch.randn(2, 3, 3, 3)).square().sum().backward()
    adam.step()
    moved = (equalized[0].weight - before).abs()
    torch.testing.assert_close(moved, torch.full_like(moved, 0.01 * math.sqrt(2 / 27)), atol=0, rtol=1e-3)


def test_spectrally_normalized_layers_are_left_alone() -> None:
    network = equalize(nn.Sequential(spectral_norm(nn.Conv2d(3, 4, 3))))
    assert [name for name, _ in network.named_parameters()] == ["0.bias", "0.parametrizations.weight.original"]
    assert len(network[0].parametrizations.weight) == 1  # type: ignore[union-attr, index]
