import pytest
import torch

from stylegan_core.losses.regularization import r1_penalty, wgan_gradient_penalty


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


def test_wgan_penalty_of_a_linear_critic_in_closed_form() -> None:
    # The critic w'x has the gradient w everywhere: the penalty is (|w| - 1)^2 for every picture.
    torch.manual_seed(0)
    mixed = torch.randn(4, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    w = torch.randn(12, dtype=torch.float64, requires_grad=True)
    penalty = wgan_gradient_penalty(mixed, (mixed.flatten(1) @ w).view(-1, 1))
    torch.testing.assert_close(penalty, (w.norm() - 1).square().expand(4))
    (gradient,) = torch.autograd.grad(penalty.mean(), w)
    torch.testing.assert_close(gradient, 2 * (w.norm() - 1) * w.detach() / w.detach().norm())


def test_wgan_penalty_does_not_grow_with_windows_or_discriminators() -> None:
    mixed = torch.randn(2, 3, 4, 4, requires_grad=True)
    value = 3 * mixed.sum(dim=(1, 2, 3))
    one = wgan_gradient_penalty(mixed, value.view(2, 1))
    windows = wgan_gradient_penalty(mixed, value.view(2, 1, 1, 1).expand(-1, -1, 5, 5))
    discriminators = wgan_gradient_penalty(mixed, [value.view(2, 1, 1, 1).expand(-1, -1, n, n) for n in (1, 3)])
    torch.testing.assert_close(one, torch.full((2,), (3 * 48**0.5 - 1) ** 2))
    torch.testing.assert_close(windows, one)
    torch.testing.assert_close(discriminators, one)


def test_r1_of_several_discriminators_is_that_of_their_sum() -> None:
    real = torch.randn(2, 3, 4, 4, requires_grad=True)
    parts = [real.square().mean(1, keepdim=True), (3 * real).sin().sum(1, keepdim=True)]
    torch.testing.assert_close(r1_penalty(real, parts), r1_penalty(real, parts[0] + parts[1]))


def test_the_wgan_penalty_of_a_flat_critic_has_a_finite_gradient() -> None:
    mixed, w = torch.randn(1, 3, 2, 2, requires_grad=True), torch.zeros(12, requires_grad=True)
    penalty = wgan_gradient_penalty(mixed, (mixed.flatten(1) @ w).view(-1, 1))
    penalty.sum().backward()
    assert penalty.item() == pytest.approx(1.0, abs=1e-5)
    assert w.grad is not None
    assert w.grad.isfinite().all()
