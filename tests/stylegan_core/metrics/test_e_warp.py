import numpy as np
import pytest
from skimage.data import coffee

from stylegan_core.metrics.e_warp import input_flow, pair_e_warp
from stylegan_core.motion.optical_flow import Flow


def crop(left, top, height=120, width=160):
    return coffee()[top : top + height, left : left + width].astype(np.float32) / 255


def known(right_px, down_px, height=120, width=160):
    """The flow from a crop to one that lies so much further left and up, and who sees whom, in numpy."""
    offset = np.zeros((height, width, 2), np.float32) + np.float32([right_px, down_px])
    y, x = np.mgrid[:height, :width]
    return Flow(offset, (x + right_px < width) & (y + down_px < height))


def test_it_is_the_mean_square_of_what_is_left_after_a_known_motion():
    rng = np.random.default_rng(0)
    later, earlier = crop(105, 83), crop(100, 80)  # the later camera moved 5 px right and 3 px down
    noisy = later + rng.normal(0, 0.1, later.shape).astype(np.float32)
    expected = np.square(noisy[:-3, :-5] - earlier[3:, 5:]).mean()
    flow = known(5, 3)
    assert pair_e_warp(noisy, earlier, flow) == pytest.approx(expected, rel=1e-5)
    assert pair_e_warp(noisy, earlier, flow) == pytest.approx(0.01, rel=0.02)
    assert pair_e_warp(later, earlier, flow) == 0.0


def test_what_is_hidden_does_not_count():
    later = earlier = crop(100, 80)
    ruined = later.copy()
    ruined[:50] = 0.0
    flow = known(0, 0)
    assert pair_e_warp(ruined, earlier, flow) > 0.01
    flow.visible[:50] = False
    assert pair_e_warp(ruined, earlier, flow) == 0.0
    flow.visible[:] = False
    assert np.isnan(pair_e_warp(later, earlier, flow))


def test_the_estimated_motion_comes_near_the_true_one():
    later, earlier = crop(105, 83), crop(100, 80)
    flow = input_flow(later, earlier)
    assert flow is not None
    assert flow.visible.mean() > 0.8
    still = pair_e_warp(later, earlier, flow)
    unaligned = np.square(later - earlier).mean()
    assert still < 0.05 * unaligned
    # What flickers is told from what moves.
    rng = np.random.default_rng(1)
    flickering = [p + rng.normal(0, 0.1, p.shape).astype(np.float32) for p in (later, earlier)]
    assert pair_e_warp(*flickering, flow) - still == pytest.approx(0.02, rel=0.2)


def test_pictures_that_have_no_flow_are_told():
    assert input_flow(crop(0, 0), crop(0, 0, 100)) is None
    assert input_flow(crop(0, 0, 20), crop(0, 0, 20)) is None
