import torch
import torch.nn.functional as F

from stylegan_core.networks.swap.cooccurrence import CooccurrenceDiscriminator, random_patches


def test_a_logit_a_patch_that_does_not_depend_on_the_references_order() -> None:
    torch.manual_seed(0)
    discriminator = CooccurrenceDiscriminator(4, 16).eval()
    patches, reference = torch.rand(2, 3, 3, 16, 16), torch.rand(2, 4, 3, 16, 16)
    with torch.no_grad():
        logits = discriminator(patches, reference)
        assert logits.shape == (2, 3)
        torch.testing.assert_close(discriminator(patches, reference.flip(1)), logits)
        torch.testing.assert_close(discriminator(patches.flip(1), reference), logits.flip(1))
        assert not torch.allclose(discriminator(patches, reference.flip(0)), logits)


def test_learns_which_patches_belong_together() -> None:
    torch.manual_seed(0)
    discriminator = CooccurrenceDiscriminator(8, 8, norm="none")
    adam = torch.optim.Adam(discriminator.parameters(), 3e-3)

    def colours() -> tuple[torch.Tensor, torch.Tensor]:
        one, other = torch.rand(2, 16, 1, 3, 1, 1) * 2 - 1
        return one.expand(-1, 2, -1, 8, 8), other.expand(-1, 2, -1, 8, 8)

    for _ in range(150):
        own, foreign = colours()
        loss = F.softplus(-discriminator(own, own)).mean() + F.softplus(discriminator(foreign, own)).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    own, foreign = colours()
    with torch.no_grad():
        assert (discriminator(own, own) > discriminator(foreign, own)).float().mean() > 0.85


def test_patches_are_parts_of_their_own_picture_of_the_asked_sizes() -> None:
    torch.manual_seed(0)
    height, width = 64, 96
    rows, columns = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    pictures = torch.stack([torch.stack([rows, columns, torch.full_like(rows, n)]) for n in range(3)])
    patches = random_patches(pictures, 50, 16)
    assert patches.shape == (3, 50, 3, 16, 16)
    for n in range(3):
        torch.testing.assert_close(patches[n, :, 2], torch.full_like(patches[n, :, 2], n))
    # Away from the border neighbouring samples lie a 16th of the patch's side apart.
    inner = patches[:, :, :2, 4:12, 4:12]
    down, right = inner[:, :, 0].diff(dim=-2), inner[:, :, 1].diff(dim=-1)
    sides_px = 16 * down.flatten(2).mean(dim=2)
    torch.testing.assert_close(sides_px, 16 * right.flatten(2).mean(dim=2), atol=1e-3, rtol=0)
    assert 64 / 8 - 0.01 <= sides_px.min() < 9
    assert 15 < sides_px.max() <= 64 / 4 + 0.01
    assert inner[:, :, 0].min() < 8
    assert inner[:, :, 1].max() > width - 12


def test_patches_hand_gradients_back() -> None:
    pictures = torch.rand(1, 3, 32, 32, requires_grad=True)
    random_patches(pictures, 40, 8).sum().backward()
    assert pictures.grad is not None
    assert (pictures.grad != 0).float().mean() > 0.5
