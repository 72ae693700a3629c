"""Points of the background and of objects correspond where both frames show them, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylegan_core.motion.camera import CameraMotion, MotionError
from stylegan_core.motion.coverage import covered
from stylegan_core.motion.scene import MIXED, SceneMotion, load_motion

SIZE = 20, 40
STILL = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


def _shift(x: float) -> list[list[float]]:
    return [[1.0, 0.0, x], [0.0, 1.0, 0.0]]


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A still background; an object of 8 x 10 px at x = 4 in frame 1, at x = 14 in frame 2, gone in frame 3."""
    for number, left in ((1, 4), (2, 14)):
        mask = np.zeros(SIZE, np.uint8)
        mask[5:15, left : left + 8] = 255
        mask[5:15, left + 8] = 128  # a soft edge
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(tmp_path / "masks" / f"kite.{number:04d}.png")
    item = {"name": "kite", "masks": "masks", "frames": {"1": _shift(-4), "2": _shift(-14)}}
    motion = {"frames": {"1": STILL, "2": STILL, "3": STILL}, "objects": [item]}
    path = tmp_path / "motion.json"
    path.write_text(json.dumps(motion))
    return path


def test_a_file_of_a_camera_alone_is_read(tmp_path: Path) -> None:
    path = tmp_path / "motion.json"
    path.write_text(json.dumps({"frames": {"1": STILL, "12": _shift(3)}}))
    motion = load_motion(path)
    assert motion.objects == ()
    assert motion.knows([1, 12])
    assert not motion.knows([2])
    points, shown = motion.correspond(1, 12, SIZE)
    assert np.array_equal(points[0, 0], np.arange(40) - 3.0)
    assert np.array_equal(shown[0], np.arange(40) >= 3)


def test_layers_are_pure_or_mixed(scene: Path) -> None:
    layers = load_motion(scene).layers(1, SIZE)
    expected = np.zeros(SIZE, int)
    expected[5:15, 4:12] = 1
    expected[5:15, 12] = MIXED
    assert np.array_equal(layers, expected)
    wide = load_motion(scene).layers(1, SIZE, margin_px=1)
    assert (wide == 1).sum() == 6 * 8
    assert (wide == 0).sum() == 20 * 40 - 11 * 12


def test_the_object_carries_its_points_and_hides_the_background(scene: Path) -> None:
    points, shown = load_motion(scene).correspond(1, 2, SIZE)
    inside = np.zeros(SIZE, bool)
    inside[5:15, 4:12] = True
    rows, columns = np.mgrid[:20, :40]
    assert np.array_equal(points[0], columns + 10.0 * inside)
    assert np.array_equal(points[1], rows)
    hidden = np.zeros(SIZE, bool)
    hidden[5:15, 12] = True  # mixed here
    hidden[5:15, 14:23] = True  # behind the object and its edge there
    assert np.array_equal(shown, ~hidden)


def test_what_an_object_uncovers_and_a_missing_object_are_not_shown(scene: Path) -> None:
    motion = load_motion(scene)
    lost = np.zeros(SIZE, bool)
    lost[5:15, 4:13] = True  # the object is not in frame 3
    assert np.array_equal(covered(motion, 1, [3], SIZE), ~lost)
    uncovered = np.zeros(SIZE, bool)
    uncovered[5:15, 4:13] = True
    assert np.array_equal(covered(motion, 3, [1], SIZE), ~uncovered)
    # Between both key frames, everything in frame 3 is shown somewhere.
    assert covered(motion, 3, [1, 2], SIZE).all()


def test_positions_between_pixels_need_all_four_neighbours(scene: Path) -> None:
    motion = load_motion(scene)
    half = CameraMotion({1: np.array(STILL), 3: np.array(_shift(0.5))})
    _, shown = SceneMotion(half, motion.objects).correspond(3, 1, SIZE)
    # A background point half a pixel left of the object reads the object too.
    assert not shown[10, 3]
    assert shown[10, 2]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        '{"frames": {"1": [[1, 0, 0]]}}',
        '{"frames": {"1": [[0,0,0],[0,0,0]]}}',
        '{"frames": {}, "objects": [{"name": "kite", "frames": {}}]}',
        '{"frames": {}, "objects": [{"name": "kite", "masks": "nowhere", "frames": {}}]}',
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "motion.json"
    path.write_text(content)
    with pytest.raises(MotionError, match=r"motion\.json"):
        load_motion(path)


def test_a_mask_that_is_missing_or_has_another_size_is_named(scene: Path) -> None:
    motion = load_motion(scene)
    with pytest.raises(MotionError, match=r"kite\.0001\.png: the mask has 40 x 20 px, the frame 30 x 20"):
        motion.layers(1, (20, 30))
    (scene.parent / "masks" / "kite.0002.png").unlink()
    with pytest.raises(MotionError, match="the object kite moves in frame 2, but has no mask"):
        load_motion(scene).layers(2, SIZE)
