"""Every network that translates: a shift of its input shifts its result, if it is anti-aliased."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from stylegan_core.networks.attribute_generator import AttributeGenerator
from stylegan_core.networks.resnet import ResnetGenerator
from stylegan_core.networks.swap.encoder import SwapEncoder
from stylegan_core.networks.swap.generator import SwapGenerator
from stylegan_core.networks.unet import UnetGenerator

SIDE_PX, MARGIN_PX = 128, 48


class Swap(nn.Module):
    def __init__(self, unshuffle: int, anti_aliased: bool) -> None:
        super().__init__()
        self.encoder = SwapEncoder(8, 8, 8, downsamplings=2, unshuffle=unshuffle, anti_aliased=anti_aliased)
        self.generator = SwapGenerator(8, 8, 8, 1, upsamplings=2, shuffle=unshuffle, anti_aliased=anti_aliased)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.generator(*self.encoder(pictures))  # type: ignore[no-any-return]


class Edit(AttributeGenerator):
    def __init__(self, anti_aliased: bool) -> None:
        super().__init__(1, 8, 1, anti_aliased=anti_aliased)

    def forward(self, pictures: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(pictures, torch.ones(len(pictures), 1))


NETWORKS: dict[str, Callable[[bool], nn.Module]] = {
    "resnet": lambda on: ResnetGenerator(8, 2, downsamplings=2, output_gain=1.0, anti_aliased=on),
    "resnet with kernel prediction": lambda on: ResnetGenerator(8, 2, mixing_taps=5, output_gain=1.0, anti_aliased=on),
    "resnet in cells": lambda on: ResnetGenerator(8, 2, downsamplings=1, unshuffle=2, output_gain=1.0, anti_aliased=on),
    "unet": lambda on: UnetGenerator(8, 3, norm="none", output="residual", output_gain=1.0, anti_aliased=on),
    "swap": lambda on: Swap(1, on),
    "swap in cells": lambda on: Swap(2, on),
    "attributes": Edit,
}


def smooth_picture() -> Tensor:
    noise = np.random.default_rng(0).normal(size=(3, SIDE_PX + 1, SIDE_PX + 1))
    smooth = np.stack([gaussian_filter(channel, 1.0) for channel in noise])
    return torch.from_numpy(smooth / np.abs(smooth).max()).float()[None]


def shift_error(network: nn.Module) -> float:
    """RMS of the change that a shift by one pixel makes, over the RMS of what the network does to the picture."""
    picture = smooth_picture()
    inside = (..., slice(MARGIN_PX, -MARGIN_PX), slice(MARGIN_PX, -MARGIN_PX))
    with torch.no_grad():
        here, there = network(picture[..., 1:, 1:]), network(picture[..., :-1, :-1])
        difference = (here - there.roll((-1, -1), (2, 3)))[inside]
        done = (here - picture[..., 1:, 1:])[inside]
    return float(difference.square().mean().sqrt() / done.square().mean().sqrt())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_shift_of_the_input_shifts_the_result(name: str) -> None:
    errors = {}
    for anti_aliased in (False, True):
        torch.manual_seed(0)
        errors[anti_aliased] = shift_error(NETWORKS[name](anti_aliased).eval())
    assert errors[True] < 0.15, errors
    assert errors[True] < 0.6 * errors[False], errors  # swap's is that large; the others' is under a quarter


@pytest.mark.parametrize("name", ["resnet", "resnet with kernel prediction", "attributes"])
def test_weights_fit_with_and_without(name: str) -> None:
    with_it, without = (NETWORKS[name](on).state_dict() for on in (True, False))
    assert {k: v.shape for k, v in with_it.items()} == {k: v.shape for k, v in without.items()}
