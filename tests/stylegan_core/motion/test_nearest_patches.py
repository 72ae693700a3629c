import cv2
import numpy as np
import pytest

from stylegan_core.motion.nearest_patches import match_patches


def texture(height: int, width: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).random((height, width, 3), np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return (blurred - blurred.min()) / (blurred.max() - blurred.min())


PLATE = texture(96, 144, 1)
EVERYWHERE = np.ones((96, 144), bool)


def test_a_moved_picture_is_found_where_it_lies() -> None:
    frame = np.roll(PLATE, (5, -8), (0, 1))  # frame(y, x) = plate(y - 5, x + 8)
    found = match_patches(frame, [PLATE], EVERYWHERE)
    inner = (slice(20, -20), slice(20, -20))
    right = (found.offset_px[..., 0] == 8) & (found.offset_px[..., 1] == -5)
    assert right[inner].mean() > 0.97
    assert found.similarity_unit[inner].mean() > 0.97


def test_each_half_is_found_in_the_key_frame_that_shows_it() -> None:
    other = texture(96, 144, 2)
    frame = np.concatenate([PLATE[:, :72], other[:, 72:]], axis=1)
    found = match_patches(frame, [PLATE, other], EVERYWHERE)
    assert (found.key[10:-10, 10:60] == 0).mean() > 0.97
    assert (found.key[10:-10, 84:-10] == 1).mean() > 0.97


def test_banned_places_are_not_used() -> None:
    found = match_patches(PLATE, [PLATE], EVERYWHERE, banned_px=[12.0])
    assert np.abs(found.offset_px).max(axis=-1).min() >= 12
    assert found.similarity_unit.mean() < match_patches(PLATE, [PLATE], EVERYWHERE).similarity_unit.mean()


def test_what_is_not_wanted_is_not_searched() -> None:
    wanted = np.zeros((96, 144), bool)
    wanted[30:50, 40:70] = True
    found = match_patches(PLATE, [PLATE], wanted)
    assert (found.similarity_unit[wanted] > 0.99).all()
    assert (found.similarity_unit[~wanted] == 0).all()
    assert (match_patches(PLATE, [PLATE], ~EVERYWHERE).similarity_unit == 0).all()


@pytest.mark.parametrize("size", [(300, 700), (9, 40), (120, 41)])
def test_any_size_gives_places_inside_the_key_frame(size: tuple[int, int]) -> None:
    height, width = size
    plate, frame = texture(height, width, 3), texture(height, width, 4)
    found = match_patches(frame, [plate], np.ones(size, bool))
    rows, columns = np.mgrid[:height, :width]
    row, column = rows + found.offset_px[..., 1], columns + found.offset_px[..., 0]
    assert found.offset_px.shape == (height, width, 2)
    assert row.min() >= 0
    assert row.max() <= height - 1
    assert column.min() >= 0
    assert column.max() <= width - 1


def patches(picture: np.ndarray) -> np.ndarray:
    """(H * W, 75) patches of 5 px in CIELAB."""
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
    padded = np.pad(lab, ((2, 2), (2, 2), (0, 0)), mode="reflect")
    return np.lib.stride_tricks.sliding_window_view(padded, (5, 5), (0, 1)).reshape(-1, 75)


def test_patches_are_nearly_as_near_as_those_of_an_exhaustive_search() -> None:
    frame, plate = texture(64, 96, 5), texture(64, 96, 6)
    found = match_patches(frame, [plate], np.ones((64, 96), bool))
    rows, columns = np.mgrid[:64, :96]
    place = (rows + found.offset_px[..., 1]) * 96 + columns + found.offset_px[..., 0]
    asked, offered = patches(frame), patches(plate)
    apart = np.linalg.norm(asked - offered[place.ravel().astype(int)], axis=1).mean()
    squares = np.square(offered).sum(axis=1) - 2 * asked @ offered.T
    nearest = np.linalg.norm(asked - offered[squares.argmin(axis=1)], axis=1).mean()
    by_chance = np.linalg.norm(asked - np.random.default_rng(0).permutation(offered), axis=1).mean()
    assert apart < nearest + 0.35 * (by_chance - nearest)
