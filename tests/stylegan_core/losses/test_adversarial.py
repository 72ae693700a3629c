import math

import pytest
import torch

from stylegan_core.losses.adversarial import discriminator_loss, generator_loss

REAL, FAKE = torch.tensor([[2.0], [0.5]]), torch.tensor([[-3.0], [0.25]])


def softplus(x: float) -> float:
    return math.log(1 + math.exp(x))


@pytest.mark.parametrize(
    ("kind", "generator", "discriminator"),
    [
        ("least_squares", (16 + 0.5625) / 2, 0.5 * ((1 + 0.25) / 2 + (9 + 0.0625) / 2)),
        (
            "nonsaturating",
            (softplus(3) + softplus(-0.25)) / 2,
            (softplus(-2) + softplus(-0.5)) / 2 + (softplus(-3) + softplus(0.25)) / 2,
        ),
        ("hinge", (3 - 0.25) / 2, (0 + 0.5) / 2 + (0 + 1.25) / 2),
        ("wasserstein", (3 - 0.25) / 2, (-3 + 0.25) / 2 - (2 + 0.5) / 2),
    ],
)
def test_closed_forms(kind: str, generator: float, discriminator: float) -> None:
    assert generator_loss(kind, FAKE).item() == pytest.approx(generator)
    assert discriminator_loss(kind, REAL, FAKE).item() == pytest.approx(discriminator)


@pytest.mark.parametrize("kind", ["least_squares", "nonsaturating", "hinge", "wasserstein"])
def test_gradients_pull_the_right_way(kind: str) -> None:
    real, fake = torch.zeros(4, requires_grad=True), torch.zeros(4, requires_grad=True)
    discriminator_loss(kind, real, fake).backward()
    assert (real.grad <= 0).all()
    assert (fake.grad >= 0).all()
    fake.grad = None
    generator_loss(kind, fake).backward()
    assert (fake.grad < 0).all()


def test_computes_in_fp32() -> None:
    assert generator_loss("least_squares", FAKE.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("kind", ["least_squares", "nonsaturating", "hinge", "wasserstein"])
def test_discriminators_count_alike_whatever_their_sizes(kind: str) -> None:
    small, large = torch.tensor([[0.3]]), torch.tensor([[2.0, -1.0, 0.5]])
    parts = [generator_loss(kind, logits) for logits in (small, large)]
    torch.testing.assert_close(generator_loss(kind, [small, large]), (parts[0] + parts[1]) / 2)
    parts = [discriminator_loss(kind, logits, -logits) for logits in (small, large)]
    torch.testing.assert_close(discriminator_loss(kind, [small, large], [-small, -large]), (parts[0] + parts[1]) / 2)
