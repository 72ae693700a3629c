import pytest
import torch

from stylegan_core.losses.regularization import r1_penalty


def test_quadratic_in_closed_form() -> None:
    # logits = x'Ax + b'x has the gradient (A + A')x + b, whose squared norm is written out here.
    torch.manual_seed(0)
    real = torch.randn(3, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    a, b = torch.randn(12, 12, dtype=torch.float64), torch.randn(12, dtype=torch.float64)
    x = real.flatten(1)
    logits = (x @ a * x).sum(1, keepdim=True) + x @ b[:, None]
    expected = (x.detach() @ (a + a.t()) + b).square().sum(1)
    torch.testing.assert_close(r1_penalty(real, logits).detach(), expected)


def test_its_own_gradient_reaches_the_discriminator() -> None:
    # logits = w * sum(x^2): the penalty is 4 w^2 |x|^2, its derivative with respect to w is 8 w |x|^2.
    real = torch.arange(12.0).reshape(1, 3, 2, 2).requires_grad_()
    w = torch.tensor(0.5, requires_grad=True)
    logits = (w * real.square()).sum(1, keepdim=True)  # (1, 1, 2, 2)
    r1_penalty(real, logits).sum().backward()
    assert w.grad is not None
    assert w.grad.item() == pytest.approx(8 * 0.5 * float(sum(i * i for i in range(12))))


def test_says_when_the_images_have_no_gradient() -> None:
    with pytest.raises(ValueError, match="requires_grad"):
        r1_penalty(torch.zeros(1, 3, 2, 2), torch.zeros(1, 1))
