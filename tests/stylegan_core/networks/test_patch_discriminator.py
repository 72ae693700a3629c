import pytest
import torch

from stylegan_core.networks.patch_discriminator import PatchDiscriminator
from stylegan_core.networks.spectral import spectral_norm


@pytest.mark.parametrize(("layers", "window_px"), [(1, 16), (2, 34), (3, 70)])
def test_the_window_is_the_papers(layers: int, window_px: int) -> None:
    torch.manual_seed(0)
    pictures = torch.rand(1, 3, 128, 128, requires_grad=True)
    logits = PatchDiscriminator(3, 4, layers, "none")(pictures)
    middle = logits.shape[-1] // 2
    (gradient,) = torch.autograd.grad(logits[0, 0, middle, middle], pictures)
    touched = gradient[0].abs().sum(0).nonzero()
    assert (touched.max(0).values - touched.min(0).values + 1).tolist() == [window_px, window_px]


def test_spectral_norm_bounds_every_layer_by_one() -> None:
    torch.manual_seed(0)
    network = PatchDiscriminator(6, 8, 2, "spectral")
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, torch.nn.Conv2d):
                layer.parametrizations.weight.original.mul_(7)
    for _ in range(50):
        network(torch.rand(1, 6, 32, 32))
    network.eval()
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            largest = torch.linalg.svdvals(layer.weight.flatten(1))[0]
            assert largest.item() == pytest.approx(1.0, abs=0.02)


def test_spectral_norm_has_the_gradient_of_the_quotient() -> None:
    # d/dW of sum(C * W / s(W)), with the singular vectors held, is C / s - sum(C * W) / s^2 * u v'.
    torch.manual_seed(0)
    layer = spectral_norm(torch.nn.Conv2d(3, 4, 2)).eval()
    norm = layer.parametrizations.weight[0]
    weight = layer.parametrizations.weight.original
    factor = torch.randn_like(weight)
    (factor * layer.weight).sum().backward()
    rows = weight.detach().flatten(1)
    sigma = norm.u @ rows @ norm.v
    expected = factor.flatten(1) / sigma - (factor.flatten(1) * rows).sum() / sigma**2 * torch.outer(norm.u, norm.v)
    torch.testing.assert_close(weight.grad.flatten(1), expected)


def test_spectral_norm_moves_in_training_alone_and_is_saved() -> None:
    torch.manual_seed(0)
    layer = spectral_norm(torch.nn.Conv2d(3, 4, 3))
    names = {f"parametrizations.weight.0.{name}" for name in ("u", "v")}
    assert names <= set(layer.state_dict())
    with torch.no_grad():
        layer.parametrizations.weight.original.copy_(torch.randn(4, 3, 3, 3))
    before = {name: layer.state_dict()[name].clone() for name in names}
    layer.eval()(torch.rand(1, 3, 8, 8))
    assert all(torch.equal(layer.state_dict()[name], before[name]) for name in names)
    with torch.autocast("cpu", torch.bfloat16):
        layer.train()(torch.rand(1, 3, 8, 8))
    assert not any(torch.equal(layer.state_dict()[name], before[name]) for name in names)
    assert all(layer.state_dict()[name].dtype == torch.float32 for name in names)


def test_two_calls_before_one_gradient_are_allowed() -> None:
    layer = spectral_norm(torch.nn.Conv2d(3, 1, 3))
    (layer(torch.rand(1, 3, 8, 8)).sum() + layer(torch.rand(1, 3, 8, 8)).sum()).backward()
    assert layer.parametrizations.weight.original.grad.isfinite().all()
