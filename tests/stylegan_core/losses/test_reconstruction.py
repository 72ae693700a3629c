import numpy as np
import torch

from stylegan_core.losses.reconstruction import masked_l1


def test_without_a_mask_it_is_the_mean_difference() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(2, 3, 5, 4), torch.randn(2, 3, 5, 4)
    np.testing.assert_allclose(masked_l1(a, b), np.abs(a.numpy() - b.numpy()).mean(), rtol=1e-6)
    torch.testing.assert_close(masked_l1(a, b, torch.ones(2, 1, 5, 4)), masked_l1(a, b))


def test_with_a_mask_it_is_the_weighted_mean() -> None:
    torch.manual_seed(0)
    a, b, mask = torch.randn(2, 3, 5, 4), torch.randn(2, 3, 5, 4), torch.rand(2, 1, 5, 4)
    weights = np.broadcast_to(mask.numpy(), a.shape)
    expected = np.average(np.abs(a.numpy() - b.numpy()), weights=weights)
    np.testing.assert_allclose(masked_l1(a, b, mask), expected, rtol=1e-6)


def test_what_the_mask_hides_has_no_gradient_and_an_empty_mask_no_loss() -> None:
    a = torch.randn(1, 3, 4, 4, requires_grad=True)
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :2] = 1
    masked_l1(a, torch.zeros(1, 3, 4, 4), mask).backward()
    assert a.grad is not None
    assert a.grad[..., 2:].abs().sum() == 0
    assert (a.grad[..., :2] != 0).all()
    assert masked_l1(a, torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 4)).item() == 0
