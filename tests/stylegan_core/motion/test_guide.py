import numpy as np
import pytest

from stylegan_core.motion import guide_map
from stylegan_core.motion.guide import NO_GUIDE_UNIT, KeyView, guide_of, guide_rows, shrunk
from stylegan_core.motion.guide_chain import FlowPair
from tests.stylegan_core.motion.textures import constant, seen, texture


def view(plate: np.ndarray, painting: np.ndarray, shift_px: float, distance: int) -> KeyView:
    """A key frame in which everything lies ``shift_px`` further to the right."""
    return KeyView(plate, painting, FlowPair(constant(shift_px), constant(-shift_px)), distance)


WORLD, PAINTED = texture(96, 300), texture(96, 300, seed=9)


def test_a_pan_brings_the_painting_to_the_frame_where_the_key_frame_shows_it() -> None:
    key = view(seen(WORLD, 0), seen(PAINTED, 0), 60, 8)
    guide, confidence = guide_of(seen(WORLD, 60), [key])
    reached = np.arange(128) < 68
    assert confidence[8:-8, 8:60].mean() > 0.9
    assert confidence[:, ~reached].max() <= 0.5  # found by appearance
    trusted = confidence > 0.5
    assert np.abs(guide - seen(PAINTED, 60))[trusted].mean() < 0.01


def test_what_moves_in_front_is_not_trusted_behind_it() -> None:
    frame = seen(WORLD, 20).copy()
    frame[30:60, 40:70] = texture(30, 30, seed=3)  # hides what the key frame shows
    _, confidence = guide_of(frame, [view(seen(WORLD, 0), seen(PAINTED, 0), 20, 4)])
    assert confidence[36:54, 46:64].max() <= 0.5
    assert confidence[70:90, 10:100].mean() > 0.9


def test_where_motion_fails_the_guide_shows_places_that_look_alike() -> None:
    plate, painting = seen(WORLD, 0), seen(PAINTED, 0)
    frame = seen(texture(96, 128, seed=5), 0).copy()
    frame[20:80, 60:110] = plate[10:70, 10:60]  # what no flow of this key frame explains
    nowhere = FlowPair(constant(400), constant(-400))
    guide, confidence = guide_of(frame, [KeyView(plate, painting, nowhere, 3)])
    inner = (slice(30, 70), slice(70, 100))
    assert np.abs(guide[inner] - painting[20:60, 20:50]).mean() < 0.02
    assert 0.45 < confidence[inner].mean() <= 0.5
    assert confidence.max() <= 0.5


def test_in_training_a_key_frame_is_guided_by_other_places_of_itself() -> None:
    plate, painting = seen(WORLD, 0), seen(PAINTED, 0)
    guide, confidence = guide_of(plate, [KeyView(plate, painting, banned_px=16)])
    assert confidence.max() <= 0.5
    assert np.abs(guide - painting).mean() > 0.02
    found = guide_map.map_guide(plate, [guide_map.KeyMotion(plate, None, 0, 16)])
    assert np.abs(found.offsets_px[0]).max(axis=-1).min() >= 16


def test_the_best_of_several_key_frames_is_chosen_in_areas() -> None:
    left, right = view(seen(WORLD, 0), seen(PAINTED, 0), 60, 8), view(seen(WORLD, 120), seen(PAINTED, 120), -60, 8)
    guide, confidence = guide_of(seen(WORLD, 60), [left, right])
    assert confidence[8:-8, 4:-4].mean() > 0.9
    assert np.abs(guide - seen(PAINTED, 60))[confidence > 0.5].mean() < 0.01


def test_of_two_that_look_alike_the_nearer_one_is_chosen() -> None:
    plate = seen(WORLD, 0)
    near, far = np.full_like(plate, 0.2), np.full_like(plate, 0.8)
    keys = [KeyView(plate, far, None, 6), KeyView(plate, near, None, 2)]
    guide, confidence = guide_of(plate, keys)
    assert (confidence > 0.9).all()
    np.testing.assert_allclose(guide, 0.2, atol=1e-6)


def test_a_key_frame_guides_itself_exactly() -> None:
    painting = seen(PAINTED, 0)
    guide, confidence = guide_of(seen(WORLD, 0), [view(seen(WORLD, 60), painting, -60, 3), KeyView(painting, painting)])
    assert np.array_equal(guide, painting)
    assert (confidence == 1).all()


def test_without_key_frames_there_is_no_guide() -> None:
    for frame in (seen(WORLD, 0), WORLD[:20, :20]):
        guide, confidence = guide_of(frame, [] if len(frame) > 20 else [KeyView(frame, frame, None, 1)])
        assert (guide == NO_GUIDE_UNIT).all()
        assert (confidence == 0).all()


def test_rows_of_a_larger_frame_equal_the_whole_guide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guide_map, "SEARCHED_PX", 64)  # of 128
    frame, plate, painting = (seen(picture, left) for picture, left in ((WORLD, 20), (WORLD, 0), (PAINTED, 0)))
    coarse = FlowPair(constant(20), constant(-20))
    found = guide_map.map_guide(shrunk(frame, (48, 64)), [guide_map.KeyMotion(shrunk(plate, (48, 64)), coarse, 3)])
    whole = guide_rows(found, [painting], (96, 128), 0, 96)
    parts = [guide_rows(found, [painting], (96, 128), first, first + 32) for first in (0, 32, 64)]
    assert np.array_equal(np.concatenate(parts), whole)
    inside = whole[8:-8, 8:90]
    assert inside[..., 3].mean() > 0.8
    assert np.abs(inside[..., :3] - seen(PAINTED, 20)[8:-8, 8:90])[inside[..., 3] > 0.5].mean() < 0.03
    view_guide, confidence = guide_of(frame, [KeyView(plate, painting, coarse, 3)])
    assert np.array_equal(np.dstack([view_guide, confidence]), whole)


def test_a_painting_of_16_bits_and_what_it_leaves_unpainted() -> None:
    plate, painting = seen(WORLD, 0), seen(PAINTED, 0)
    alpha = np.ones((96, 128, 1), np.float32)
    alpha[:, 64:] = 0
    codes = np.rint(np.concatenate([painting, alpha], axis=2) * 65535).astype(np.uint16)
    found = guide_map.map_guide(plate, [guide_map.KeyMotion(plate, None, 0)])
    rows = guide_rows(found, [codes], (96, 128), 0, 96)
    np.testing.assert_allclose(rows[:, :64, :3], painting[:, :64], atol=1e-5)
    assert (rows[:, :64, 3] == 1).all()
    assert (rows[:, 64:] == (NO_GUIDE_UNIT, NO_GUIDE_UNIT, NO_GUIDE_UNIT, 0)).all()
