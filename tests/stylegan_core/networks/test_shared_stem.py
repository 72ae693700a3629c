import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from stylegan_core.networks.discriminators import Discriminator
from stylegan_core.networks.resnet import ResnetGenerator
from stylegan_core.networks.shared_stem import SharedStem, stem_channels
from stylegan_core.networks.unet import UnetGenerator


def pictures(channels: int = 6) -> torch.Tensor:
    return torch.rand(2, channels, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


def build(generator: nn.Module) -> SharedStem:
    return SharedStem(Discriminator(6 + 2 * stem_channels(generator), 4, 1, "none"), generator)


def test_sees_what_the_generators_first_layer_sees() -> None:
    torch.manual_seed(0)
    for generator in (ResnetGenerator(4, 1), UnetGenerator(4, 3), UnetGenerator(4, 3, anti_aliased=False)):
        discriminator = build(generator)
        seen = pictures()
        first = generator.stem[0]
        features = [F.leaky_relu(first(seen[:, i : i + 3]), 0.2) for i in (0, 3)]
        scale = seen.shape[-1] // features[0].shape[-1]
        large = [f.repeat_interleave(scale, dim=2).repeat_interleave(scale, dim=3) for f in features]
        expected = discriminator.discriminator(torch.cat([seen, *large], dim=1))
        torch.testing.assert_close(discriminator(seen).logits, expected.logits)


def test_the_stem_stays_the_generators_alone() -> None:
    torch.manual_seed(0)
    generator = ResnetGenerator(4, 1)
    discriminator = build(generator)
    assert not {id(p) for p in discriminator.parameters()} & {id(p) for p in generator.parameters()}
    assert not any("stem" in key for key in discriminator.state_dict())
    made = generator(pictures(3))
    sum(logits.sum() for logits in discriminator(torch.cat([pictures(3), made], dim=1)).logits).backward()
    direct = torch.autograd.grad(generator(pictures(3)).sum(), generator.stem[0].weight)[0]
    assert generator.stem[0].weight.grad is not None
    assert direct.abs().sum() > 0
    generator.zero_grad()
    sum(logits.sum() for logits in discriminator(torch.cat([pictures(3), made.detach()], dim=1)).logits).backward()
    assert generator.stem[0].weight.grad is None  # and in no other way


def test_follows_the_generator_as_it_learns_and_into_a_copy() -> None:
    torch.manual_seed(0)
    both = nn.ModuleDict({"generator": ResnetGenerator(4, 1)})
    both["discriminator"] = build(both["generator"])
    before = both["discriminator"](pictures()).logits[0]
    copied = copy.deepcopy(both)
    with torch.no_grad():
        both["generator"].stem[0].weight.mul_(2)
    assert not torch.equal(both["discriminator"](pictures()).logits[0], before)
    assert torch.equal(copied["discriminator"](pictures()).logits[0], before)
    copied["generator"].load_state_dict(both["generator"].state_dict())
    assert torch.equal(copied["discriminator"](pictures()).logits[0], both["discriminator"](pictures()).logits[0])


def test_refuses_a_generator_without_a_picture_in_its_first_layer() -> None:
    with pytest.raises(ValueError, match="shared stem"):
        stem_channels(ResnetGenerator(4, 1, unshuffle=2, anti_aliased=False))
