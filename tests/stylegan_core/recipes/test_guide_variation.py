import torch

from stylegan_core.recipes.guide_variation import vary_guide


def parts(count: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    guide = torch.cat([torch.full((count, 3, 32, 32), 0.25), torch.full((count, 1, 32, 32), -0.5)], dim=1)
    return guide, torch.full((count, 3, 32, 32), 0.75)


def test_guides_are_kept_where_no_share_changes_them() -> None:
    guide, painting = parts()
    assert torch.equal(vary_guide(guide, painting, own_share=0.0, none_share=0.0), guide)


def test_a_removed_guide_is_grey_at_confidence_0() -> None:
    guide, painting = parts()
    varied = vary_guide(guide, painting, own_share=0.0, none_share=1.0)
    assert (varied[:, :3] == 0).all()
    assert (varied[:, 3] == -1).all()


def test_the_own_painting_has_holes_that_show_the_guide_of_other_places() -> None:
    guide, painting = parts(256)
    varied = vary_guide(guide, painting, own_share=1.0, none_share=0.0)
    own = varied[:, 3:] == 1
    torch.testing.assert_close(varied[:, :3][own.expand(-1, 3, -1, -1)], torch.tensor(0.75).expand(int(own.sum()) * 3))
    assert (varied[:, :3][~own.expand(-1, 3, -1, -1)] == 0.25).all()
    shares = own.float().mean(dim=(1, 2, 3))
    assert 0.4 < shares.mean() < 0.6
    assert shares.min() < 0.05
    assert shares.max() > 0.95


def test_shares_are_those_of_crops() -> None:
    guide, painting = parts(2000)
    varied = vary_guide(guide[..., :8, :8], painting[..., :8, :8], own_share=0.3, none_share=0.2)
    removed = (varied[:, 3] == -1).flatten(1).all(dim=1).float().mean()
    touched = (varied[:, 3] == 1).flatten(1).any(dim=1).float().mean()
    assert abs(removed - 0.2) < 0.03
    assert 0.15 < touched <= 0.33


def test_a_resampled_painting_moves_by_a_pixel_at_the_most() -> None:
    guide, _ = parts()
    ramp = torch.linspace(-1, 1, 32).expand(64, 3, 32, 32).contiguous()
    varied = vary_guide(guide, ramp, own_share=1.0, none_share=0.0)
    apart = (varied[:, :3] - ramp)[..., 4:-4]
    own = (varied[:, 3:] == 1).expand(-1, 3, -1, -1)[..., 4:-4]
    step = 2 / 31
    assert apart[own].abs().max() <= 1.01 * step
    assert apart[own].abs().mean() > 0.2 * step
