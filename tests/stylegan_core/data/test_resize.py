import numpy as np
import pytest

from stylegan_core.data.resize import shrink


def checkers(height, width):
    """Black and white pixels in turns, three channels."""
    return np.repeat((np.indices((height, width)).sum(0) % 2).astype(np.float32)[..., None], 3, axis=2)


def test_fine_detail_keeps_its_light():
    # Half of the light of white is 0.5 in linear numbers, and 0.7354 when sRGB encoded (IEC 61966-2-1).
    np.testing.assert_allclose(shrink(checkers(16, 32), 8, "area", space="srgb"), 0.735357, atol=1e-4)
    np.testing.assert_allclose(shrink(checkers(16, 32), 8, "area", space="linear_rec709"), 0.5, atol=1e-6)


@pytest.mark.parametrize("how", ["area", "nearest"])
@pytest.mark.parametrize(("shape", "expected"), [((30, 40), (12, 16)), ((40, 30), (16, 12)), ((100, 13), (92, 12))])
def test_the_shorter_side_has_the_asked_length_and_the_shape_stays(how, shape, expected):
    assert shrink(np.ones((*shape, 1), np.float32), 12, how, space="linear_rec709").shape == (*expected, 1)


def test_nearest_makes_no_new_colours():
    colours = np.float32([[0.1, 0.2, 0.3], [0.9, 0.5, 0.1], [0.4, 0.4, 0.8]])
    labels = colours[np.random.default_rng(0).integers(0, 3, (61, 83))]
    small = shrink(labels, 20, "nearest", space="srgb")
    assert set(map(tuple, small.reshape(-1, 3).tolist())) == set(map(tuple, colours.tolist()))


@pytest.mark.parametrize("side", [16, 17, 400])
def test_nothing_is_enlarged(side):
    picture = checkers(16, 32)
    assert shrink(picture, side, "area", space="srgb") is picture
