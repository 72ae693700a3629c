import numpy as np
import torch

from stylegan_core.networks.swap.colours import WIDTH, colour_code, recolour, whiten


def pictures(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = 0.8 * torch.eye(3) + 0.2 * torch.randn(2, 3, 3, generator=generator)
    return (mixing @ torch.rand(2, 3, 24 * 16, generator=generator)).unflatten(2, (24, 16)) - 0.4


def test_a_picture_under_its_own_code_is_itself() -> None:
    content = pictures(0)
    assert colour_code(content).shape == (2, WIDTH)
    torch.testing.assert_close(recolour(whiten(content), colour_code(content)), content, atol=1e-5, rtol=0)


def test_the_result_has_the_references_mean_and_covariance() -> None:
    content, reference = pictures(0), pictures(1)
    made = recolour(whiten(content), colour_code(reference))
    torch.testing.assert_close(made.mean(dim=(2, 3)), reference.mean(dim=(2, 3)), atol=1e-5, rtol=0)
    for result, wanted, own in zip(made, reference, content, strict=True):
        found, expected, before = (np.cov(p.flatten(1).numpy()) for p in (result, wanted, own))
        # The floor keeps a little of the content's own.
        assert np.abs(found - expected).max() < 0.1 * np.abs(before - expected).max()


def test_a_grey_picture_with_noise_is_not_made_colourful() -> None:
    grey = torch.rand(1, 1, 32, 32).expand(1, 3, 32, 32) + 0.002 * torch.randn(1, 3, 32, 32)
    made = recolour(whiten(grey), colour_code(pictures(1)[:1] * 0.5))
    before = (grey - grey.mean(dim=1, keepdim=True)).std()
    assert (made - made.mean(dim=1, keepdim=True)).std(dim=(2, 3)).min() < 100 * before
    assert whiten(grey)[:, 1:].std() < 0.1


def test_a_code_beyond_the_references_inverts_nothing() -> None:
    content, reference = 0.9 * pictures(0), 0.05 * pictures(1)
    own, wanted = colour_code(content), colour_code(reference)
    moved = recolour(whiten(content), own + 2 * (wanted - own))
    lightness, before = moved.mean(dim=1).flatten(1), content.mean(dim=1).flatten(1)
    assert all(np.corrcoef(a, b)[0, 1] > 0.9 for a, b in zip(lightness.numpy(), before.numpy(), strict=True))


class _OfReference(torch.nn.Module):
    def forward(self, content: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        return recolour(whiten(content), colour_code(reference))


def test_an_exported_program_takes_other_sizes_and_counts() -> None:
    """len() of a tensor would fix the number of pictures."""
    count, height = torch.export.Dim("count", min=1, max=64), torch.export.Dim("height", min=8, max=4096)
    free = {0: count, 2: height}
    program = torch.export.export(_OfReference(), (pictures(0), pictures(1)), dynamic_shapes=(free, free))
    content, reference = torch.rand(3, 3, 40, 16), torch.rand(3, 3, 40, 16)
    expected = _OfReference()(content, reference)
    torch.testing.assert_close(program.module()(content, reference), expected, atol=1e-5, rtol=0)
