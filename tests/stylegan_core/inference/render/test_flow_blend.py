from dataclasses import replace

import cv2
import numpy as np
import pytest
from skimage.data import coffee

from stylegan_core.inference.render.flow_blend import WarpedNeighbour, blended, motion_proxy
from stylegan_core.metrics.detail import laplacian_variance
from stylegan_core.motion.optical_flow import Flow, estimate_flow

HEIGHT, WIDTH = 160, 200


def plate(index):
    """Frames of a pan by 2 px a frame."""
    left = 150 + 2 * index
    return coffee()[100 : 100 + HEIGHT, left : left + WIDTH].astype(np.float32) / 255


def stylized(index, nervous=0.06):
    """A repaint that follows the plate, with strokes of its own in every frame."""
    flat = cv2.medianBlur(np.rint(plate(index) * 255).astype(np.uint8), 7).astype(np.float32) / 255
    strokes = np.random.default_rng(index).normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32)
    return flat + nervous * cv2.GaussianBlur(strokes, (0, 0), 1.0)[..., None] * 3


def neighbour_of(index, of, after=None):
    grey = motion_proxy(plate(index), "srgb")
    flow = estimate_flow(motion_proxy(plate(of), "srgb"), grey)
    return WarpedNeighbour(stylized(index) if after is None else after, plate(index), grey, flow)


def smoothed(after, before, neighbours, weight=1.0):
    return blended(after, before, motion_proxy(before, "srgb"), neighbours, weight)


def aligned_difference(later, earlier):
    """Where both frames show the same points: the pan is known."""
    return float(np.square(later[8:-8, 8:-10] - earlier[8:-8, 10:-8]).mean())


def test_it_reduces_flicker_and_does_not_blur():
    plain = [stylized(index) for index in range(4)]
    steady = [
        smoothed(plain[i], plate(i), [neighbour_of(j, of=i) for j in range(i - 2, i + 3) if j != i and 0 <= j < 4])
        for i in (1, 2)
    ]
    before, after = aligned_difference(plain[2], plain[1]), aligned_difference(steady[1], steady[0])
    assert after < 0.5 * before
    mean = [np.mean([laplacian_variance(p) for p in pictures]) for pictures in (steady, plain[1:3])]
    assert 0.8 < mean[0] / mean[1] < 1.2


def test_a_sequence_without_flicker_is_unchanged():
    calm = [stylized(index, nervous=0.0) for index in range(3)]
    result = smoothed(calm[1], plate(1), [neighbour_of(0, 1, calm[0]), neighbour_of(2, 1, calm[2])])
    assert np.abs(result - calm[1]).mean() < 0.004


def test_a_grade_keeps_its_own_grain():
    rng = np.random.default_rng(0)
    grainy = [plate(i) + rng.normal(0, 0.04, (HEIGHT, WIDTH, 1)).astype(np.float32) for i in range(3)]
    graded = [0.8 * p + 0.1 for p in grainy]
    greys = [motion_proxy(p, "srgb") for p in grainy]
    neighbours = [WarpedNeighbour(graded[j], grainy[j], greys[j], estimate_flow(greys[1], greys[j])) for j in (0, 2)]
    result = blended(graded[1], grainy[1], greys[1], neighbours, 1.0)
    grain = graded[1] - (0.8 * plate(1) + 0.1)
    kept = np.corrcoef((result - (0.8 * plate(1) + 0.1)).ravel(), grain.ravel())[0, 1]
    assert kept > 0.9


def test_occluded_or_differently_lit_neighbours_do_not_count():
    own, black = stylized(1), np.zeros((HEIGHT, WIDTH, 3), np.float32)
    neighbour = neighbour_of(0, 1, black)
    hidden = replace(neighbour, flow=Flow(neighbour.flow.offset_px, np.zeros_like(neighbour.flow.visible)))
    assert np.abs(smoothed(own, plate(1), [hidden]) - own).max() < 1e-5
    other_light = replace(neighbour, grey=neighbour.grey + np.uint8(128))  # modulo 256: otherwise everywhere
    assert np.abs(smoothed(own, plate(1), [other_light]) - own).max() < 1e-3
    assert np.abs(smoothed(own, plate(1), [neighbour]) - own).mean() > 0.1, "it would count if it were visible"


def test_without_neighbours_or_weight_nothing_changes():
    own = stylized(1)
    assert smoothed(own, plate(1), []) is own
    assert smoothed(own, plate(1), [neighbour_of(0, 1)], weight=0.0) is own


@pytest.mark.parametrize("space", ["srgb", "linear_rec709"])
def test_flow_is_estimated_on_display_encoding(space):
    light = np.full((40, 40, 3), 0.5 if space == "srgb" else 0.21404114, np.float32)
    assert (motion_proxy(light, space) == 128).all()
    assert (motion_proxy(light * 0 + 9, space) == 255).all()
