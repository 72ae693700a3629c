import pytest
import torch
import torch.nn.functional as F

from stylegan_core.data.augment import augment, augment_mildly, vary_colours


def pictures(count: int = 4, channels: int = 3, side: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def alone(monkeypatch: pytest.MonkeyPatch, kept: str) -> None:
    """Leaves one of the three changes."""
    for name in {"_colour", "_shift", "_cut_out"} - {kept}:
        monkeypatch.setattr(f"stylegan_core.data.augment.{name}", lambda given: given)


def test_probability_0_is_the_identity() -> None:
    given = pictures(64)
    assert torch.equal(augment(given, 0.0), given)
    assert torch.equal(augment(given, torch.tensor(0.0)), given)
    assert not torch.equal(augment(given, 1.0), given)


def test_the_probability_is_each_pictures_own(monkeypatch: pytest.MonkeyPatch) -> None:
    alone(monkeypatch, "_colour")
    torch.manual_seed(0)
    given = pictures(1, side=4).expand(2000, -1, -1, -1)
    changed = (augment(given, torch.tensor(0.3)) != given).flatten(1).any(1)
    assert changed.float().mean().item() == pytest.approx(0.3, abs=0.04)


def test_equal_seeds_give_equal_changes_and_the_device_draws_nothing() -> None:
    given = pictures()
    made = []
    for _ in range(2):
        torch.manual_seed(5)
        made.append(augment(given))
    assert torch.equal(*made)
    assert not torch.equal(augment(given), made[0])


def test_the_gradient_is_that_of_differences() -> None:
    given = pictures(2, side=8).double().requires_grad_()
    weight = torch.rand(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def value(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)
        return (weight * augment(x)).sum()

    (gradient,) = torch.autograd.grad(value(given), given)
    assert gradient.abs().sum() > 0
    direction = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        difference = (value(given + 1e-6 * direction) - value(given - 1e-6 * direction)) / 2e-6
    torch.testing.assert_close((gradient * direction).sum(), difference, rtol=1e-5, atol=1e-6)


def test_pictures_that_belong_together_change_alike() -> None:
    one = pictures(16)
    torch.manual_seed(2)
    made = augment(torch.cat([one, one], dim=1))
    assert torch.equal(made[:, :3], made[:, 3:])
    assert not torch.equal(made[:, :3], one)


def test_a_shift_moves_by_an_eighth_at_most_and_fills_with_grey(monkeypatch: pytest.MonkeyPatch) -> None:
    alone(monkeypatch, "_shift")
    torch.manual_seed(0)
    given = pictures(200)
    made = augment(given)
    offsets = set()
    for picture, moved in zip(given, made, strict=True):
        inside = (moved != 0).any(0).nonzero()
        (top, left), (bottom, right) = inside.min(0).values.tolist(), (inside.max(0).values + 1).tolist()
        down, across = (top or bottom - 32), (left or right - 32)
        offsets.add((down, across))
        expected = picture[:, max(0, -down) : 32 - max(0, down), max(0, -across) : 32 - max(0, across)]
        assert torch.equal(moved[:, top:bottom, left:right], expected)
        assert moved.count_nonzero() == expected.count_nonzero()
    assert max(abs(v) for pair in offsets for v in pair) == 4
    assert len(offsets) > 40


def test_a_cutout_is_a_grey_square_of_half_the_side_that_may_leave_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    alone(monkeypatch, "_cut_out")
    torch.manual_seed(0)
    given = pictures(400)
    made = augment(given)
    sides = set()
    for picture, cut in zip(given, made, strict=True):
        holes = (cut != picture).any(0)
        where = holes.nonzero()
        height, width = (where.max(0).values - where.min(0).values + 1).tolist()
        assert holes.sum() == height * width
        assert (cut[:, holes] == 0).all()
        sides |= {height, width}
    assert max(sides) == 16
    assert min(sides) >= 8


def test_colour_keeps_where_things_are(monkeypatch: pytest.MonkeyPatch) -> None:
    alone(monkeypatch, "_colour")
    torch.manual_seed(0)
    grey = pictures(16)[:, :1].expand(-1, 3, -1, -1)
    made = augment(grey)  # brightness and contrast alone show on grey: an affine function of it
    for before, after in zip(grey, made, strict=True):
        x, y = before.flatten() - before.mean(), after.flatten() - after.mean()
        slope = (x @ y) / (x @ x)
        assert 0.5 <= slope.item() <= 1.5
        assert (y - slope * x).abs().max() < 1e-5
        assert (after.mean() - before.mean()).abs() <= 0.5 + 1e-5


def test_mild_augmentation_mirrors_at_the_border_and_keeps_hues() -> None:
    """Every result is a crop of the mirrored picture, of other brightness and saturation."""
    torch.manual_seed(0)
    given = pictures(32, side=16)
    changed = augment_mildly(torch.cat([given, given], dim=1))
    assert torch.equal(changed[:, :3], changed[:, 3:])
    grey, mirrored = changed[:, :3].mean(1), F.pad(given.mean(1, keepdim=True), (2, 2, 2, 2), mode="reflect")[:, 0]
    shifts = set()
    for before, after in zip(mirrored, grey, strict=True):
        found = [
            (y - 2, x - 2, float((after - before[y : y + 16, x : x + 16]).mean()))
            for y in range(5)
            for x in range(5)
            if (after - before[y : y + 16, x : x + 16]).std() < 1e-5
        ]
        assert len(found) == 1
        assert abs(found[0][2]) <= 0.2
        shifts.add(found[0][:2])
    assert len(shifts) > 10
    spread = (changed[:, :3] - changed[:, :3].mean(1, keepdim=True)).flatten(1).std(1) / (
        given - given.mean(1, keepdim=True)
    ).flatten(1).std(1)
    assert 0.4 < float(spread.min()) < 0.7
    assert 1.3 < float(spread.max()) < 1.6


def test_varied_colours_change_a_share_of_the_pictures_and_no_shapes() -> None:
    torch.manual_seed(0)
    pictures = torch.rand(200, 3, 6, 6) * 0.4 - 0.2
    varied = vary_colours(pictures, 0.5)
    same = (varied == pictures).flatten(1).all(dim=1)
    assert 70 < same.sum() < 130
    changed, before = varied[~same].flatten(2), pictures[~same].flatten(2)
    inside = (changed.abs() < 1).all(dim=2)
    for found, own in zip(changed[inside], before[inside], strict=True):
        assert torch.corrcoef(torch.stack([found, own]))[0, 1] > 0.999
    assert varied.abs().max() <= 1
    assert torch.equal(vary_colours(pictures, 0.0), pictures)
