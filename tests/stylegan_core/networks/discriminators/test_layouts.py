import pytest
import torch
import torch.nn.functional as F

from stylegan_core.networks.discriminators import Discriminator, Layout
from stylegan_core.networks.patch_discriminator import DiscriminatorNorm


def build(layout: Layout = "patch", norm: DiscriminatorNorm = "none", **settings: int) -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(3, 4, 1, norm, layout=layout, **settings)


def pictures(side: int = 32) -> torch.Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_a_patch_layout_is_its_one_discriminator() -> None:
    network = build()
    (part,) = network.judges
    output = network(pictures())
    assert torch.equal(output.logits[0], part(pictures()))
    assert output.logits[0].shape == (2, 1, 14, 14)
    assert [f.shape[1] for f in output.features] == [4, 8]


def test_each_scale_has_a_discriminator_of_its_own_at_half_the_size() -> None:
    network = build("multi_scale", scales=3)
    given = pictures()
    output = network(given)
    for index, part in enumerate(network.judges):
        seen = F.interpolate(given, scale_factor=0.5**index, mode="area") if index else given
        torch.testing.assert_close(output.logits[index], part(seen))
    assert [tuple(part.shape[2:]) for part in output.logits] == [(14, 14), (6, 6), (2, 2)]
    assert len(output.features) == 6


def test_the_whole_and_each_region_have_discriminators_of_their_own() -> None:
    network = build("global_local", regions=2)
    given = pictures()
    output = network(given)
    assert len(output.logits) == len(network.judges) == 5
    parts = [given, given[..., :16, :16], given[..., :16, 16:], given[..., 16:, :16], given[..., 16:, 16:]]
    for logits, part, seen in zip(output.logits, network.judges, parts, strict=True):
        torch.testing.assert_close(logits, part(seen))


def test_regions_share_a_remainder_of_pixels() -> None:
    given = pictures(50)
    views = build("global_local", regions=8)._views(given)
    assert len(views) == 65
    assert {v.shape[-1] for v in views[1:]} == {6, 7}
    assert torch.equal(torch.cat([torch.cat(views[1 + 8 * r : 9 + 8 * r], 3) for r in range(8)], 2), given)


@pytest.mark.parametrize("norm", ["none", "instance", "batch", "spectral"])
def test_freezing_keeps_the_first_convolutions_and_their_norms(norm: DiscriminatorNorm) -> None:
    network = Discriminator(3, 4, 2, norm, layout="multi_scale")
    network.freeze(2)
    for part in network.judges:
        trains = [
            [p.requires_grad for p in module.parameters()]
            for module in part.body
            if isinstance(module, torch.nn.Conv2d | torch.nn.BatchNorm2d)
        ]
        frozen = 3 if norm == "batch" else 2
        kept, learning = ([t for part in parts for t in part] for parts in (trains[:frozen], trains[frozen:]))
        assert kept
        assert not any(kept)
        assert learning
        assert all(learning)
    network = Discriminator(3, 4, 2, norm)
    network.freeze(0)
    assert all(p.requires_grad for p in network.parameters())


def test_dropout_is_for_training() -> None:
    torch.manual_seed(0)
    network = Discriminator(3, 8, 2, "none", dropout=0.5)
    given = pictures()
    assert not torch.equal(network(given).logits[0], network(given).logits[0])
    network.eval()
    first = network(given).logits[0]
    assert torch.equal(first, network(given).logits[0])
    torch.manual_seed(0)
    plain = Discriminator(3, 8, 2, "none").eval()
    assert torch.equal(first, plain(given).logits[0])
