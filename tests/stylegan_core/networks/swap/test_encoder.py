import pytest
import torch

from stylegan_core.networks.swap.encoder import SwapEncoder


def build(**settings: object) -> SwapEncoder:
    torch.manual_seed(0)
    return SwapEncoder(4, 5, 6, **({"downsamplings": 2} | settings)).eval()


@pytest.mark.parametrize(("unshuffle", "shrunk"), [(1, 4), (2, 8)])
def test_shapes_and_normalization(unshuffle: int, shrunk: int) -> None:
    encoder = build(unshuffle=unshuffle)
    assert encoder.multiple_px == shrunk
    with torch.no_grad():
        structure, texture = encoder(torch.rand(3, 3, 32, 64) * 2 - 1)
    assert structure.shape == (3, 5, 32 // shrunk, 64 // shrunk)
    assert texture.shape == (3, 6)
    torch.testing.assert_close(structure.mean(dim=(2, 3)), torch.zeros(3, 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(structure.square().mean(dim=(2, 3)), torch.ones(3, 5), atol=0.05, rtol=0)
    torch.testing.assert_close(texture.square().mean(dim=1), torch.ones(3), atol=1e-4, rtol=0)


def test_texture_does_not_tell_a_picture_from_its_mirror_tiled() -> None:
    # Only pooled values reach it: a repeated picture, whose every window recurs, has nearly the code of one copy.
    encoder = build()
    with torch.no_grad():
        picture = torch.rand(1, 3, 64, 64) * 2 - 1
        _, one = encoder(picture)
        _, four = encoder(picture.repeat(1, 1, 2, 2))
        _, other = encoder((torch.rand(1, 3, 64, 64) * 2 - 1) ** 3)
    assert (one - four).norm() < 0.2 * (one - other).norm()


def test_no_halving_more_channels_than_the_most() -> None:
    encoder = build(downsamplings=3, most_channels=8)
    assert max(p.shape[0] for name, p in encoder.named_parameters() if "stages" in name) == 8


def test_the_deepest_statistics_are_above_the_floor_at_the_start() -> None:
    """With torch's own initialization the deviation after four halvings was 0.004, beside a floor of 0.01."""
    torch.manual_seed(0)
    encoder = SwapEncoder(16, 8, 64, downsamplings=4, most_channels=64)
    found: list[torch.Tensor] = []
    encoder.stages[-1].register_forward_hook(lambda _module, _given, features: found.append(features))
    pictures = torch.nn.functional.interpolate(torch.rand(4, 3, 16, 16) * 2 - 1, size=(128, 128), mode="bilinear")
    with torch.no_grad():
        encoder(pictures)
    assert found[0].std(dim=(2, 3)).median() > 0.05  # low-passed four times


def test_the_fine_code_is_at_twice_the_size_in_cells() -> None:
    encoder = build(fine_channels=3)
    with torch.no_grad():
        structure, _ = encoder(torch.rand(2, 3, 32, 64) * 2 - 1)
    assert structure.shape == (2, 5 + 4 * 3, 8, 16)
    fine = torch.nn.functional.pixel_shuffle(structure[:, 5:], 2)
    torch.testing.assert_close(fine.mean(dim=(2, 3)), torch.zeros(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(fine.square().mean(dim=(2, 3)), torch.ones(2, 3), atol=0.05, rtol=0)


def test_the_bound_limits_a_single_spot_and_leaves_the_rest() -> None:
    pictures = torch.rand(1, 3, 64, 64) * 0.02
    pictures[..., 28:36, 28:36] = -1.0
    with torch.no_grad():
        free, _ = build(fine_channels=2)(pictures)
        bounded, _ = build(fine_channels=2, bound=3.0)(pictures)
    assert free.abs().max() > 4
    torch.testing.assert_close(bounded, 3 * torch.tanh(free / 3))


def test_the_trunk_changes_the_texture_code_alone() -> None:
    encoder = build(trunk=True)
    assert encoder.trunk is not None
    pictures = torch.rand(1, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        structure, texture = encoder(pictures)
        encoder.trunk.load()
        same, changed = encoder(pictures)
        torch.testing.assert_close(encoder.structure_code(pictures), same, atol=0, rtol=0)
    torch.testing.assert_close(structure, same, atol=0, rtol=0)
    assert not torch.allclose(texture, changed, atol=0.1)
