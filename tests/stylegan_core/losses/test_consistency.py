import numpy as np
import pytest
import torch
from skimage.data import astronaut

from stylegan_core.losses.consistency import draw_noise, draw_shift, draw_warp, inconsistency

DRAWS = {"noise": lambda p: draw_noise(p, 0.05), "shift": draw_shift, "warp": draw_warp}


@pytest.fixture
def photographs():
    picture = torch.from_numpy(astronaut()[100:164, 180:308].astype(np.float32)).permute(2, 0, 1) / 127.5 - 1
    return torch.stack([picture, picture.flip(2)])


def drawn(name, pictures, seed=0):
    torch.manual_seed(seed)
    return DRAWS[name](pictures)


@pytest.mark.parametrize("name", list(DRAWS))
def test_a_pointwise_map_is_consistent_and_a_nervous_one_is_not(name, photographs):
    def steady(pictures):  # a brightness commutes with the warp's, and forgets the noise
        return pictures * 0.0 if name == "noise" else 0.5 * (pictures + 1) - 1

    def nervous(pictures):  # depends on the place in the grid, and enlarges what is fine
        place = torch.zeros_like(pictures)
        place[..., ::2, ::2] = 0.3
        return pictures + place + 3 * (pictures - torch.nn.functional.avg_pool2d(pictures, 3, 1, 1))

    for seed in range(4):
        change = drawn(name, photographs, seed)
        moved = change.of_input(photographs)
        assert moved.shape == photographs.shape
        assert (moved - photographs).abs().mean() > 1e-3
        assert change.valid_unit.shape == (2, 1, 64, 128)
        assert 0.5 < change.valid_unit.mean() <= 1
        assert inconsistency(steady(moved), steady(photographs), change) < 1e-6
    shifts = [inconsistency(nervous(m), nervous(photographs), c) for c, m in _changes(name, photographs)]
    assert max(shifts) > 0.02


def _changes(name, pictures):
    changes = [drawn(name, pictures, seed) for seed in range(4)]
    return [(change, change.of_input(pictures)) for change in changes]


def test_noise_has_the_deviation_that_is_asked_for(photographs):
    torch.manual_seed(0)
    flat = torch.zeros(4000, 3, 8, 8)
    added = draw_noise(flat, 0.05).of_input(flat)
    deviations = added.std(dim=(1, 2, 3)) / 2  # the signed range is twice the unit range
    assert 0.045 < deviations.quantile(0.98) < 0.06
    assert abs(deviations.mean() - 0.025) < 0.002


def test_shifts_are_whole_pixels_and_never_none(photographs):
    seen = set()
    for seed in range(60):
        change = drawn("shift", photographs, seed)
        moved = change.of_input(photographs)
        found = [
            (down, right)
            for down in range(-4, 5)
            for right in range(-4, 5)
            if torch.equal(moved[..., 8:-8, 8:-8], photographs.roll((down, right), (2, 3))[..., 8:-8, 8:-8])
        ]
        assert len(found) == 1
        seen.add(found[0])
        valid = change.valid_unit.bool().expand_as(moved)
        assert torch.equal(moved[valid], photographs.roll(found[0], (2, 3))[valid])
    assert (0, 0) not in seen
    assert len(seen) > 20


def test_a_warp_is_smooth_small_and_not_blurred(photographs):
    ramp = torch.stack(torch.meshgrid(torch.arange(64.0), torch.arange(128.0), indexing="ij"))
    place = torch.cat([ramp / 64, torch.ones(1, 64, 128)])[None].repeat(2, 1, 1, 1) - 1  # y, x and 1, as colours
    gains = []
    for seed in range(8):
        change = drawn("warp", place, seed)
        seen = change.of_result(place) + 1
        gain = seen[:, 2:]  # the third channel is 1 everywhere
        gains += gain[:, 0, 32, 64].tolist()
        valid = change.valid_unit.bool().expand(-1, 2, -1, -1)
        assert valid.float().mean() > 0.6
        offset_px = seen[:, :2] / gain * 64 - ramp
        assert offset_px[valid].abs().max() < 15
        assert offset_px[valid].abs().mean() > 0.3
        along = offset_px.diff(dim=3)[valid[..., 1:] & valid[..., :-1]]
        assert along.abs().max() < 0.5
    assert 0.9 < min(gains) < 0.95
    assert 1.05 < max(gains) < 1.1
    sharp = drawn("warp", photographs).of_result(photographs)

    def detail(pictures):
        return (pictures[..., 16:-16, 16:-16] - pictures[..., 16:-16, 17:-15]).square().mean()

    assert detail(sharp) > 0.75 * detail(photographs)


def test_gradients_reach_what_is_made_of_the_change_alone(photographs):
    change = drawn("warp", photographs)
    changed, result = (photographs.clone().requires_grad_() for _ in range(2))
    inconsistency(changed, result, change).backward()
    assert changed.grad.abs().sum() > 0
    assert result.grad is None


def test_equal_seeds_draw_alike(photographs):
    for name in DRAWS:
        first, second = (drawn(name, photographs, 5).of_input(photographs) for _ in range(2))
        assert torch.equal(first, second)
