import numpy as np
import pytest
from skimage.data import astronaut, chelsea, coffee

from stylegan_core.inference.planning.shots.detect_cuts import (
    PROXY_HEIGHT_PX,
    PROXY_WIDTH_PX,
    find_cuts,
    proxy_of,
)


def pan(picture, frames, step_px, start=0):
    """A camera that moves over a photograph."""
    at = [start + index * step_px for index in range(frames)]
    return [proxy_of(picture[40:200, x : x + 240].astype(np.float32) / 255) for x in at]


@pytest.fixture(scope="module")
def film():
    return [*pan(coffee(), 8, 3), *pan(astronaut(), 5, 1), *pan(chelsea(), 6, 2), *pan(coffee(), 1, 1)]


def test_cuts_are_found_and_fast_motion_is_none(film):
    assert film[0].shape == (PROXY_HEIGHT_PX, PROXY_WIDTH_PX, 3)
    assert film[0].dtype == np.uint8
    assert find_cuts(film) == [8, 13, 19]
    assert find_cuts(pan(coffee(), 14, 24)) == []
    assert find_cuts([]) == find_cuts(film[:1]) == []


def test_only_the_frames_around_a_cut_decide(film):
    for first in (5, 6, 7):
        assert [first + cut for cut in find_cuts(film[first:11])] == [8]


def test_a_frame_that_cannot_be_read_is_no_cut(film):
    assert find_cuts([*film[:4], None, *film[5:]]) == [8, 13, 19]
    assert find_cuts([*film[:8], None, *film[9:]]) == [9, 13, 19]
    assert find_cuts([None, None]) == []
