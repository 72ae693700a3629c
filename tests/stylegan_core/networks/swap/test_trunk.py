import pytest
import torch

from stylegan_core.features.efficientnet_lite0 import load_efficientnet_lite0
from stylegan_core.networks.swap.trunk import TextureTrunk


@pytest.fixture(scope="module")
def trunk() -> TextureTrunk:
    trunk = TextureTrunk()
    trunk.load()
    return trunk


@pytest.mark.parametrize("size", [(64, 96), (61, 93)])
def test_statistics_are_those_of_the_trained_network(trunk: TextureTrunk, size: tuple[int, int]) -> None:
    pictures = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        whole = pictures[..., : size[0] // 16 * 16, : size[1] // 16 * 16]
        layers = load_efficientnet_lite0()(whole, ["stride2", "stride4", "stride8", "stride16"])
        parts = []
        for features in layers.values():
            deviation = (features.var(dim=(2, 3), correction=0) + 1e-2).sqrt()
            parts += [features.mean(dim=(2, 3)) / (deviation + 1), deviation.log()]
        torch.testing.assert_close(trunk(pictures), torch.cat(parts, dim=1), atol=1e-5, rtol=1e-5)
    assert trunk(pictures).shape == (2, TextureTrunk.width)


def test_nothing_of_it_is_trained_and_all_of_it_is_saved(trunk: TextureTrunk) -> None:
    assert not list(trunk.parameters())
    copy = TextureTrunk()
    pictures = torch.rand(1, 3, 32, 32, requires_grad=True)
    assert not torch.equal(copy(pictures), trunk(pictures))
    copy.load_state_dict(trunk.state_dict())
    assert copy.loaded
    torch.testing.assert_close(copy(pictures), trunk(pictures), atol=0, rtol=0)
    assert not trunk(pictures).requires_grad
