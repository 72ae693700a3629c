import pytest
import torch

from stylegan_core.networks.swap.generator import SwapGenerator


@pytest.mark.parametrize(("shuffle", "enlarged"), [(1, 4), (2, 8)])
def test_paints_at_the_pictures_size_in_range_and_fp32(shuffle: int, enlarged: int) -> None:
    torch.manual_seed(0)
    generator = SwapGenerator(4, 5, 6, 1, upsamplings=2, shuffle=shuffle)
    structure, texture = torch.randn(2, 5, 3, 4), torch.randn(2, 6)
    with torch.autocast("cpu", torch.bfloat16):
        made = generator(structure, texture)
    assert made.shape == (2, 3, 3 * enlarged, 4 * enlarged)
    assert made.dtype == torch.float32
    assert made.abs().max() <= 1


def test_every_layer_follows_the_texture_code() -> None:
    torch.manual_seed(0)
    generator = SwapGenerator(4, 5, 6, 2, upsamplings=1)
    generator(torch.randn(1, 5, 4, 4), torch.randn(1, 6)).square().sum().backward()
    scales = {name: p.grad for name, p in generator.named_parameters() if "scales.weight" in name}
    assert len(scales) == 2 * 3 + 1
    assert all(grad is not None and grad.abs().sum() > 0 for grad in scales.values())


def test_noise_is_random_in_training_unless_its_offsets_are_given_and_fixed_otherwise() -> None:
    torch.manual_seed(0)
    generator = SwapGenerator(4, 5, 6, 1, upsamplings=1)
    for block in generator.blocks:
        torch.nn.init.ones_(block.grain_strengths)
    structure, texture = torch.randn(1, 5, 4, 4), torch.randn(1, 6)
    with torch.no_grad():
        assert not torch.equal(generator(structure, texture), generator(structure, texture))
        offsets = generator.draw_offsets()
        assert len(offsets) == len(generator.blocks)
        torch.testing.assert_close(
            generator(structure, texture, offsets), generator(structure, texture, offsets), atol=0, rtol=0
        )
        generator.eval()
        assert generator.draw_offsets() == [(0, 0)] * len(generator.blocks)
        torch.testing.assert_close(generator(structure, texture), generator(structure, texture), atol=0, rtol=0)
