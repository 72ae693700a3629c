from __future__ import annotations

import pytest
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor

from stylegan_core.networks.attribute_discriminator import AttributeDiscriminator
from stylegan_core.networks.attribute_generator import AttributeGenerator, Norm, warp
from stylegan_core.networks.discriminators import Discriminator, Layout


def pictures(count: int = 2, height: int = 32, width: int = 32) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def generator(norm: Norm = "none", flow_px: float = 4.0) -> AttributeGenerator:
    torch.manual_seed(0)
    return AttributeGenerator(2, 4, 1, downsamplings=2, norm=norm, flow_px=flow_px).eval()


@pytest.mark.parametrize("norm", ["none", "instance"])
@pytest.mark.parametrize("size", [(32, 32), (45, 38)])
def test_no_change_gives_the_picture_back_exactly(norm: Norm, size: tuple[int, int]) -> None:
    content = pictures(3, *size)
    change = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, -0.5]])
    result = generator(norm)(content, change)
    assert result.shape == content.shape
    assert result.dtype == torch.float32
    assert torch.equal(result[0], content[0])
    assert not torch.equal(result[1], content[1])
    assert not torch.equal(result[2], content[2])


def test_added_colours_grow_with_the_strength_and_depend_on_the_direction() -> None:
    network, content = generator(flow_px=0.0), pictures(1)
    change = torch.tensor([[1.0, -1.0]])
    whole = network(content, change) - content
    assert whole.abs().max() > 1e-3
    for strength in (0.25, 1.5):
        part = network(content, strength * change) - content
        torch.testing.assert_close(part, strength * whole, atol=1e-5, rtol=1e-4)
    assert (network(content, -change) - content - whole).abs().max() > 1e-3


def test_a_grey_picture_stays_grey_and_a_coloured_one_need_not() -> None:
    network, content = generator(), pictures()
    content[0] = content[0, :1]
    made = network(content, torch.ones(2, 2)) - content
    spread = (made - made.mean(dim=1, keepdim=True)).abs().amax(dim=(1, 2, 3))
    assert spread[0] < 1e-6
    assert spread[1] > 1e-3
    assert made[0].abs().max() > 1e-3


def test_bending_agrees_with_scipy() -> None:
    picture = pictures(1, 12, 17)
    flow = torch.randn(1, 2, 12, 17, generator=torch.Generator().manual_seed(1)) * 3
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(17.0), indexing="ij")
    places = [(y + flow[0, 1]).numpy(), (x + flow[0, 0]).numpy()]
    expected = [map_coordinates(channel.numpy(), places, order=1, mode="nearest") for channel in picture[0]]
    for made, channel in zip(warp(picture, flow)[0], expected, strict=True):
        torch.testing.assert_close(made, torch.from_numpy(channel), atol=1e-5, rtol=1e-4)


def test_bending_moves_no_pixel_further_than_allowed() -> None:
    network = generator(flow_px=2.0)
    with torch.no_grad():
        network.to_flow.bias.copy_(torch.tensor([100.0, 0.0]))  # as far as it goes, to the right
        network.to_flow.weight.zero_()
        network.to_rgb.weight.zero_()
    content = pictures(1)
    made = network(content, torch.tensor([[1.0, 0.0]]))
    torch.testing.assert_close(made[..., :-2], content[..., 2:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layout", ["patch", "multi_scale", "global_local"])
def test_attributes_are_read_off_the_first_discriminator(layout: Layout) -> None:
    torch.manual_seed(0)
    whole = Discriminator(3, 4, 2, "none", layout=layout)
    network = AttributeDiscriminator(whole, 3)
    output = network(pictures())
    assert torch.equal(output.logits[0], whole(pictures()).logits[0])
    *_, features, _ = whole.judges[0].features(pictures())  # (2, 16, 7, 7)
    grid = [features[:, :, y : y + 3, x : x + 3].mean(dim=(2, 3)) for y in (0, 2, 4) for x in (0, 2, 4)]
    expected = network.to_attributes(torch.stack(grid, dim=2).flatten(1))
    assert network.attributes(output).shape == (2, 3)
    torch.testing.assert_close(network.attributes(output), expected)
