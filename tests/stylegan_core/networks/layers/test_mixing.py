import pytest
import torch
import torch.nn.functional as F

from stylegan_core.networks.layers.mixing import NeighbourhoodMixing


def unfolded(content: torch.Tensor, weights: torch.Tensor, taps: int, step_px: int) -> torch.Tensor:
    """The same mean through torch's own unfold."""
    radius = taps // 2 * step_px
    padded = F.pad(content, (radius,) * 4, mode="replicate")
    columns = F.unfold(padded, taps, dilation=step_px).view(len(content), 3, taps**2, *content.shape[-2:])
    return (columns * weights[:, None]).sum(dim=2)


@pytest.mark.parametrize(("taps", "step_px"), [(3, 1), (5, 2), (7, 2)])
def test_mixes_as_unfold_does_with_its_gradient(taps: int, step_px: int) -> None:
    torch.manual_seed(0)
    mixing = NeighbourhoodMixing(4, taps, step_px)
    content, features = torch.rand(2, 3, 20, 17), torch.randn(2, 4, 20, 17)
    ours = mixing(content, features)
    (gradient,) = torch.autograd.grad(ours.square().sum(), mixing.predict.weight)
    reference = unfolded(content, mixing.predict(features).softmax(dim=1), taps, step_px)
    (expected,) = torch.autograd.grad(reference.square().sum(), mixing.predict.weight)
    torch.testing.assert_close(ours, reference)
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(mixing(content, features), ours, rtol=0, atol=0)


def test_stays_within_the_colours_that_are_there_and_starts_near_them() -> None:
    torch.manual_seed(0)
    content = torch.rand(1, 3, 16, 16)
    mixed = NeighbourhoodMixing(4, 5, 2)(content, torch.zeros(1, 4, 16, 16))
    assert content.min() <= mixed.min() <= mixed.max() <= content.max()
    flat = torch.full((1, 3, 16, 16), 0.25)
    torch.testing.assert_close(NeighbourhoodMixing(4)(flat, torch.randn(1, 4, 16, 16)), flat)


def test_refuses_taps_without_a_centre() -> None:
    with pytest.raises(ValueError, match="odd"):
        NeighbourhoodMixing(4, 4)
