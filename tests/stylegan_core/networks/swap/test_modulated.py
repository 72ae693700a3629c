import pytest
import torch
import torch.nn.functional as F

from stylegan_core.networks.swap.modulated import ModulatedBlock, ModulatedConv2d


@pytest.mark.parametrize("demodulate", [True, False])
def test_equals_a_convolution_with_a_kernel_of_its_own_for_each_picture(demodulate: bool) -> None:
    torch.manual_seed(0)
    layer = ModulatedConv2d(5, 7, 4, demodulate=demodulate)
    torch.nn.init.normal_(layer.bias)
    features, style = torch.randn(3, 5, 9, 8), torch.randn(3, 4)
    with torch.no_grad():
        result = layer(features, style)
        scales = layer.scales(style)
        for n in range(3):  # the paper's equations 1 and 3, literally
            kernel = layer.weight * scales[n][None, :, None, None]
            if demodulate:
                kernel = kernel / kernel.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()
            expected = F.conv2d(features[n : n + 1], kernel, layer.bias, padding=1)
            torch.testing.assert_close(result[n : n + 1], expected, atol=1e-5, rtol=1e-5)


def test_demodulation_keeps_unit_variance_whatever_the_style() -> None:
    torch.manual_seed(0)
    layer = ModulatedConv2d(32, 64, 8)
    with torch.no_grad():
        result = layer(torch.randn(4, 32, 32, 32), 10 * torch.randn(4, 8))[..., 1:-1, 1:-1]
    torch.testing.assert_close(result.std(dim=(1, 2, 3)), torch.ones(4), atol=0.1, rtol=0)


def test_blocks_keep_or_double_the_size_and_follow_the_style() -> None:
    torch.manual_seed(0)
    features, styles = torch.randn(2, 6, 8, 10), torch.randn(2, 2, 4)
    for enlarge in (False, True):
        block = ModulatedBlock(6, 3, 4, enlarge=enlarge)
        first, second = (block(features, style) for style in styles)
        side = 2 if enlarge else 1
        assert first.shape == (2, 3, 8 * side, 10 * side)
        assert not torch.allclose(first, second)


def test_a_shift_is_a_bias_of_the_style() -> None:
    torch.manual_seed(0)
    plain, shifted = (ModulatedConv2d(3, 5, 4, shift=shift) for shift in (False, True))
    shifted.load_state_dict(plain.state_dict(), strict=False)
    features, style = torch.randn(2, 3, 6, 6), torch.randn(2, 4)
    with torch.no_grad():
        torch.testing.assert_close(shifted(features, style), plain(features, style))  # none at the start
        torch.nn.init.normal_(shifted.shifts.weight)
        expected = plain(features, style) + (style @ shifted.shifts.weight.T)[:, :, None, None]
        torch.testing.assert_close(shifted(features, style), expected)


@pytest.mark.parametrize("padding", ["replicate", "reflect"])
def test_padding_keeps_an_even_picture_even_at_the_border(padding: str) -> None:
    torch.manual_seed(0)
    layer = ModulatedConv2d(3, 5, 4, padding=padding)
    with torch.no_grad():
        result = layer(torch.ones(1, 3, 6, 6), torch.randn(1, 4))
    torch.testing.assert_close(result, result[..., 2:3, 2:3].expand_as(result))
