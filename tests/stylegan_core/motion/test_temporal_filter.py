import numpy as np
import pytest

from stylegan_core.motion.guide_chain import FlowPair
from stylegan_core.motion.temporal_filter import (
    NeighbourMotion,
    Rows,
    filtered_guide,
    filtered_plate,
    neighbour_motion,
)
from tests.stylegan_core.motion.textures import constant, dabs, seen, texture

SIZE = (96, 128)
WORLD, PAINTED = texture(96, 300), texture(96, 300, seed=9)


def rows(picture: np.ndarray) -> Rows:
    return lambda first, last: picture[first:last]


def noisy(picture: np.ndarray, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 0.04, picture.shape).astype(np.float32)
    return picture + noise


def pan(step_px: float, there: np.ndarray, here: np.ndarray) -> NeighbourMotion:
    """Motion from ``here`` to a neighbour in which everything lies ``step_px`` further to the right."""
    return neighbour_motion(here, there, FlowPair(constant(step_px), constant(-step_px)))


def guide(painting: np.ndarray, confidence: float) -> np.ndarray:
    return np.concatenate([painting, np.full((*SIZE, 1), confidence, np.float32)], axis=2)


def test_noise_is_averaged_along_the_motion() -> None:
    clean = [seen(WORLD, left) for left in (20, 30, 40)]
    before, here, after = (noisy(picture, seed) for seed, picture in enumerate(clean))
    neighbours = [(pan(10, before, here), rows(before)), (pan(-10, after, here), rows(after))]
    filtered = filtered_plate(rows(here), neighbours, SIZE, 0, SIZE[0])
    inside = (slice(8, -8), slice(20, -20))
    error, own_error = (np.square(picture - clean[1])[inside].mean() for picture in (filtered, here))
    assert error < 0.5 * own_error  # a mean of three has a third


def test_without_neighbours_a_frame_and_its_guide_are_unchanged() -> None:
    plate, own = seen(WORLD, 0), guide(seen(PAINTED, 0), 0.7)
    assert np.array_equal(filtered_plate(rows(plate), [], SIZE, 0, SIZE[0]), plate)
    assert np.array_equal(filtered_guide(rows(own), [], SIZE, 10, 20), own[10:20])


def test_what_a_neighbour_does_not_show_stays() -> None:
    other = 0.4 * seen(WORLD, 30)
    here = other.copy()
    here[20:70, 30:90] = 0.6 + other[20:70, 30:90]  # only this frame shows it, at no motion
    filtered = filtered_plate(rows(here), [(pan(0, other, here), rows(other))], SIZE, 0, SIZE[0])
    assert np.abs(filtered - here)[26:64, 36:84].max() < 0.01
    away = FlowPair(constant(0), constant(50))  # the way back ends elsewhere: occluded
    hidden = neighbour_motion(here, other, away)
    assert hidden.weight_unit.max() == 0


def test_a_flash_does_not_reach_the_neighbour() -> None:
    here = 0.5 * seen(WORLD, 0)
    flash = here + 0.4
    filtered = filtered_plate(rows(here), [(pan(0, flash, here), rows(flash))], SIZE, 0, SIZE[0])
    assert np.abs(filtered - here).max() < 0.01


def test_a_guide_that_jumps_is_steadied_and_keeps_its_contrast() -> None:
    plate = seen(WORLD, 0)
    still = pan(0, plate, plate)
    jumping = [seen(dabs(96, 300), left) for left in (0, 1, 2)]
    own = guide(jumping[1], 0.5)
    neighbours = [(still, rows(guide(jumping[at], 0.5))) for at in (0, 2)]
    filtered = filtered_guide(rows(own), neighbours, SIZE, 0, SIZE[0])
    mean = np.average(jumping, axis=0, weights=(0.75, 1, 0.75))
    assert np.abs(filtered[..., :3] - mean).mean() < 0.85 * np.abs(own[..., :3] - mean).mean()
    made, soft, sharp = (np.abs(np.diff(picture[..., :3], 2, axis=1)).mean() for picture in (filtered, mean, own))
    assert 1.2 * soft < made < sharp
    assert np.allclose(filtered[..., 3], 0.5)


def test_what_no_guide_shows_does_not_dilute_the_others() -> None:
    plate, painting = seen(WORLD, 0), np.full((*SIZE, 3), 0.2, np.float32)
    nothing = guide(np.full((*SIZE, 3), 0.5, np.float32), 0.0)
    still = pan(0, plate, plate)
    filtered = filtered_guide(rows(nothing), [(still, rows(guide(painting, 0.9)))], SIZE, 0, SIZE[0])
    assert np.abs(filtered[..., :3] - 0.2).max() < 1e-5
    assert np.allclose(filtered[..., 3], 0.9 * 0.75 / 1.75)  # a neighbour has three quarters of the weight
    none = filtered_guide(rows(nothing), [(still, rows(nothing))], SIZE, 0, SIZE[0])
    assert np.array_equal(none, nothing)


@pytest.mark.parametrize("scale", [1, 2])
def test_bands_equal_the_whole(scale: int) -> None:
    height, width = 96 * scale, 128 * scale  # at twice the size that was searched, too
    frames = [texture(height, width, seed) for seed in (1, 2, 3)]
    flow = np.random.default_rng(0).normal(0, 6, (96, 128, 2)).astype(np.float32)
    motions = [NeighbourMotion(sign * flow, np.full((96, 128), 0.8, np.float32)) for sign in (1, -1)]
    guides = [np.concatenate([frame, frame[..., :1]], axis=2) for frame in frames]
    for make, pictures in ((filtered_plate, frames), (filtered_guide, guides)):
        neighbours = [(motion, rows(picture)) for motion, picture in zip(motions, pictures[1:], strict=True)]
        whole = make(rows(pictures[0]), neighbours, (height, width), 0, height)
        bands = [
            make(rows(pictures[0]), neighbours, (height, width), first, min(height, first + 17))
            for first in range(0, height, 17)
        ]
        assert np.abs(np.concatenate(bands) - whole).max() < 1e-5
