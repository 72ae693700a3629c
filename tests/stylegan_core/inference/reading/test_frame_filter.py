from pathlib import Path

import cv2
import numpy as np
import pytest

from stylegan_core.inference.job.plan import write_plan
from stylegan_core.inference.reading.decode import FrameDecoder
from stylegan_core.inference.reading.decoded_frame import DecodedFrame
from stylegan_core.inference.reading.frame_reader import FrameReader
from stylegan_core.inference.render.guided_input import network_input
from stylegan_core.recipes.model import Model
from tests.stylegan_core.inference.guided_shot import GuidedShot, make_shot, save_guided_model

INSIDE = (slice(8, -8), slice(12, -12))


@pytest.fixture
def shot(tmp_path: Path) -> GuidedShot:
    """Key frames 2 and 6 of 7; every plate has noise of its own."""
    made = make_shot(tmp_path, 7, (2, 6))
    for number in range(1, 8):
        path = made.plates / f"shot.{number:04d}.png"
        noise = np.random.default_rng(number).normal(0, 8, (64, 96, 3))
        cv2.imwrite(str(path), np.clip(cv2.imread(str(path)) + noise, 0, 255).astype(np.uint8))
    return made


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return save_guided_model(tmp_path / "model")


def decoded(shot: GuidedShot, model: Model, number: int, **settings: object) -> DecodedFrame:
    plan = shot.plan(model, **settings)
    write_plan(plan)
    task = next(frame for frame in plan.job.frames if frame.number == number)
    return FrameDecoder(plan.job, FrameReader(plan.job)).decode(task)


def error(rows: np.ndarray, shot: GuidedShot, number: int, seed: int) -> float:
    clean = shot.seen(number, seed)[..., ::-1].astype(np.float32) / 255
    return float(np.square(rows - clean)[INSIDE].mean())


def test_key_frames_bring_a_filter_of_plates_and_guides(shot: GuidedShot, model: Model) -> None:
    plain, filtered = decoded(shot, model, 4, filter_frames=0), decoded(shot, model, 4)
    assert plain.filtered is None
    assert filtered.filtered is not None
    assert filtered.window == ()
    assert np.array_equal(filtered.before_unit, plain.before_unit)  # what results are blended back into
    assert error(filtered.filtered.rows(0, 64), shot, 4, 0) < 0.6 * error(plain.before_unit, shot, 4, 0)
    assert plain.guide is not None
    assert filtered.guide is not None
    assert not np.array_equal(filtered.guide.rows(0, 64), plain.guide.rows(0, 64))
    assert error(filtered.guide.rows(0, 64)[..., :3], shot, 4, 1) < 1.1 * error(
        plain.guide.rows(0, 64)[..., :3], shot, 4, 1
    )


def test_a_key_frame_keeps_its_painting(shot: GuidedShot, model: Model) -> None:
    key = decoded(shot, model, 6)
    assert key.guide is not None
    assert key.filtered is not None
    assert error(key.guide.rows(0, 64)[..., :3], shot, 6, 1) < 1e-12
    assert (key.guide.rows(0, 64)[..., 3] == 1).all()


def test_frames_that_are_blended_are_filtered_as_by_themselves(shot: GuidedShot, model: Model) -> None:
    frame = decoded(shot, model, 4, blend_frames=1)
    assert [other.offset for other in frame.window] == [-1, 1]
    for other in frame.window:
        alone = decoded(shot, model, 4 + other.offset, frames=str(4 + other.offset))
        assert np.array_equal(network_input(other, guided=True), network_input(alone, guided=True))


def test_nothing_is_averaged_where_nothing_is_changed(shot: GuidedShot, model: Model) -> None:
    assert decoded(shot, model, 4, strength=0.0).task.window == ()


def test_a_frame_without_neighbours_is_not_filtered(tmp_path: Path, model: Model) -> None:
    shot = make_shot(tmp_path / "one", 1, (1,))
    assert decoded(shot, model, 1).filtered is None


def test_other_models_are_filtered_where_it_is_asked(shot: GuidedShot, tmp_path: Path) -> None:
    unguided = save_guided_model(tmp_path / "unguided", guide=False)
    assert decoded(shot, unguided, 4, key_frames=None).filtered is None
    filtered = decoded(shot, unguided, 4, key_frames=None, filter_frames=2).filtered
    assert filtered is not None
    assert error(filtered.rows(0, 64), shot, 4, 0) < 0.5 * error(decoded(shot, unguided, 4).before_unit, shot, 4, 0)
