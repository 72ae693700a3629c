import numpy as np
import pytest
import torch
from scipy.ndimage import correlate
from torch import Tensor

from stylegan_core.networks.layers.blur_pool import BlurPool, doubled

TAPS = np.array([1.0, 3.0, 3.0, 1.0]) / 8.0


def features(height: int = 12, width: int = 20, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0), dtype=dtype)


def test_equals_a_binomial_filter_of_which_every_second_value_is_kept() -> None:
    given = features()
    kernel = np.outer(TAPS, TAPS)
    # scipy's even kernels are centred on the later of the two middle pixels.
    filtered = [[correlate(c.numpy(), kernel, mode="nearest")[1::2, 1::2] for c in p] for p in given]
    torch.testing.assert_close(BlurPool(3)(given), torch.from_numpy(np.array(filtered)), atol=1e-6, rtol=0)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_its_gradient_is_that_of_its_definition(layout: torch.memory_format) -> None:
    given = features(6, 8, torch.float64).contiguous(memory_format=layout).requires_grad_()
    assert torch.autograd.gradcheck(BlurPool(3).double(), (given,))
    assert torch.autograd.gradgradcheck(BlurPool(3).double(), (given,))


def test_training_and_inference_give_the_same() -> None:
    given = features()
    with torch.no_grad():
        plain = BlurPool(3)(given)
    assert torch.equal(BlurPool(3)(given.requires_grad_()), plain)


def test_no_pattern_of_every_second_pixel_comes_through_and_constants_do() -> None:
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    for pattern in (rows, columns, rows + columns):
        stripes = ((-1.0) ** pattern)[None, None]
        assert BlurPool(1)(stripes)[..., 1:-1, 1:-1].abs().max() < 1e-6
    assert torch.equal(BlurPool(1)(torch.full((1, 1, 8, 8), 0.5)), torch.full((1, 1, 4, 4), 0.5))


def test_mirrored_features_give_the_mirrored_result() -> None:
    given = features()
    for axis in (2, 3):
        torch.testing.assert_close(BlurPool(3)(given.flip(axis)), BlurPool(3)(given).flip(axis))
        larger = doubled(given, anti_aliased=True)
        torch.testing.assert_close(doubled(given.flip(axis), anti_aliased=True), larger.flip(axis))


def test_a_ramp_keeps_its_place_through_halving_and_doubling() -> None:
    # A resampling that is off by half a pixel would add or subtract half of the slope.
    ramp = torch.arange(32.0).expand(1, 1, 32, 32)
    back = doubled(BlurPool(1)(ramp), anti_aliased=True)
    torch.testing.assert_close(back[..., 4:-4], ramp[..., 4:-4])


def test_its_kernel_is_not_in_the_weights_file() -> None:
    assert not BlurPool(3).state_dict()


def test_works_under_bf16_autocast() -> None:
    given = features().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        result = BlurPool(3)(given)
    torch.testing.assert_close(result.float(), BlurPool(3)(given), atol=0.02, rtol=0)
    result.float().sum().backward()
    assert given.grad is not None
    torch.testing.assert_close(given.grad, torch.full_like(given, 0.25), atol=0.01, rtol=0)
