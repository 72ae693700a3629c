import pytest
import torch

from stylegan_core.networks.blend import blend_by_mask
from stylegan_core.networks.patch_projection import PatchProjection


def test_projects_the_asked_positions_to_unit_vectors() -> None:
    torch.manual_seed(0)
    network = PatchProjection([3, 5], width=7)
    features = [torch.randn(2, 3, 4, 6), torch.randn(2, 5, 2, 3)]
    positions = [torch.tensor([0, 23, 7]), torch.tensor([5, 1])]
    projected = network(features, positions)
    assert [p.shape for p in projected] == [(2, 3, 7), (2, 2, 7)]
    row, column = divmod(7, 6)
    vector = network.heads[0](features[0][1, :, row, column])
    torch.testing.assert_close(projected[0][1, 2], vector / vector.norm())


def test_needs_features_and_positions_for_every_stage() -> None:
    with pytest.raises(ValueError, match="is shorter than argument"):
        PatchProjection([3, 5])([torch.randn(1, 3, 4, 4)], [torch.tensor([0])])


def test_blend_is_exact_at_both_ends() -> None:
    inside, outside = torch.randn(1, 3, 2, 4), torch.randn(1, 3, 2, 4)
    mask = torch.tensor([0.0, 1.0, 0.5, 0.0]).expand(1, 1, 2, 4)
    blended = blend_by_mask(inside, outside, mask)
    assert torch.equal(blended[..., 0], outside[..., 0])
    assert torch.equal(blended[..., 1], inside[..., 1])
    torch.testing.assert_close(blended[..., 2], (inside[..., 2] + outside[..., 2]) / 2)
    assert blend_by_mask(inside, outside, None) is inside
