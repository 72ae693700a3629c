import pytest
import torch

from stylegan_core.networks.swap.colours import WIDTH, colour_code, recolour, whiten
from stylegan_core.networks.swap.encoder import SwapEncoder
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


def test_the_fine_code_reaches_the_picture_beside_the_coarse_one() -> None:
    torch.manual_seed(0)
    generator = SwapGenerator(4, 5, 6, 1, upsamplings=2, fine_channels=2)
    structure = torch.randn(1, 5 + 4 * 2, 4, 4, requires_grad=True)
    made = generator(structure, torch.randn(1, 6))
    assert made.shape == (1, 3, 16, 16)
    made.square().sum().backward()
    assert (structure.grad.abs().sum(dim=(0, 2, 3)) > 0).all()


def test_without_grain_nothing_is_random() -> None:
    torch.manual_seed(0)
    generator = SwapGenerator(4, 5, 6, 1, upsamplings=1, grain=False)
    assert not any("grain_strengths" in name for name, _ in generator.named_parameters())
    structure, texture = torch.randn(1, 5, 4, 4), torch.randn(1, 6)
    with torch.no_grad():
        torch.testing.assert_close(generator(structure, texture), generator(structure, texture), atol=0, rtol=0)


def test_with_colours_the_result_is_a_change_of_the_recoloured_content() -> None:
    torch.manual_seed(0)
    encoder = SwapEncoder(4, 5, 6, downsamplings=2, colours=True).eval()
    generator = SwapGenerator(4, 5, 6, 1, upsamplings=2, colours=True).eval()
    pictures = torch.rand(2, 3, 16, 24) - 0.5
    with torch.no_grad():
        structure, texture = encoder(pictures)
        torch.nn.init.zeros_(generator.last.weight)
        assert texture.shape == (2, 6 + WIDTH)
        torch.testing.assert_close(generator(structure, texture), pictures, atol=1e-5, rtol=0)
        moved = recolour(whiten(pictures), colour_code(pictures.flip(0)))
        torch.testing.assert_close(generator(structure, texture.flip(0)), moved.clamp(-1, 1), atol=1e-5, rtol=0)
        torch.nn.init.constant_(generator.last.bias, 0.5)
        changed = generator(structure, texture)
    torch.testing.assert_close(changed, (pictures + torch.tensor(0.5).tanh()).clamp(-1, 1), atol=1e-5, rtol=0)
