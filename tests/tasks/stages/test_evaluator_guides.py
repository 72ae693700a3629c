import json
from pathlib import Path

import cv2
import numpy as np

from stylegan_core.data.subjects import Subject
from stylegan_core.inference.job.plan import write_plan
from stylegan_core.inference.reading.decode import FrameDecoder
from stylegan_core.inference.reading.frame_reader import FrameReader
from stylegan_core.inference.render.guided_input import network_input
from tasks.stages.evaluator_guides import ShotGuides, guides_of
from tests.stylegan_core.inference.guided_shot import make_shot, save_guided_model


def unit(path: Path, _side: str = "content") -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB).astype(np.float32) / 255


def plain(picture: np.ndarray) -> np.ndarray:
    return picture


def test_frames_get_the_guides_that_stylize_gives_them(tmp_path: Path) -> None:
    shot = make_shot(tmp_path, 6, (2, 5))
    (tmp_path / "shots.json").write_text(json.dumps({"pan": {"plates": "plates", "painted": "painted"}}))
    subject = Subject("pan", "shot", (), (), (2, 5), ())
    guides = guides_of(subject, tmp_path, tmp_path, unit, plain)
    assert isinstance(guides, ShotGuides)
    plan = shot.plan(save_guided_model(tmp_path / "model"))
    write_plan(plan)
    frame = unit(shot.plates / "shot.0003.png")
    given = guides.with_guide(3, frame)
    assert given.shape == (64, 96, 7)
    assert np.abs(given[..., :3] - frame).mean() < 0.01  # a mean of what moves by whole pixels
    painted = shot.seen(3, 1)[..., ::-1].astype(np.float32) / 255
    trusted = given[..., 6] > 0.5
    assert trusted.mean() > 0.8
    assert np.abs(given[..., 3:6] - painted)[trusted].mean() < 0.02
    stylized = FrameDecoder(plan.job, FrameReader(plan.job)).decode(plan.job.frames[2])
    expected = network_input(stylized, guided=True)
    assert np.abs(given[..., :3] - expected[..., :3]).max() < 1e-5
    assert np.abs(given[..., 3:] - expected[..., 3:]).mean() < 1e-3  # flows of jobs are kept in half precision
    own = guides.with_guide(5, unit(shot.plates / "shot.0005.png"))
    assert (own[..., 6] == 1).all()


def test_frames_of_another_size_and_other_subjects_have_none(tmp_path: Path) -> None:
    shot = make_shot(tmp_path, 3, (2,))
    plates = {number: shot.plates / f"shot.{number:04d}.png" for number in (1, 2, 3)}
    guides = ShotGuides(plates, {2: shot.painted / "key_002.png"}, unit, plain)
    assert (guides.with_guide(3, unit(plates[3])[:48])[..., 6] == 0).all()
    assert guides_of(Subject("pictures", "pairs", (), (), (), ()), tmp_path, tmp_path, unit, plain) is None
    assert guides_of(Subject("pan", "shot", (), (), (), ()), tmp_path, tmp_path, unit, plain) is None


def test_what_a_mask_leaves_out_guides_nothing(tmp_path: Path) -> None:
    shot = make_shot(tmp_path, 3, (2,))
    plates = {number: shot.plates / f"shot.{number:04d}.png" for number in (1, 2, 3)}
    mask = np.zeros((128, 192), np.uint8)  # of the files, which are evaluated at half their size
    mask[:, :96] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    guides = ShotGuides(plates, {2: shot.painted / "key_002.png"}, unit, plain, {2: tmp_path / "mask.png"})
    confidence = guides.with_guide(2, unit(plates[2]))[..., 6]
    assert (confidence[:, :48] == 1).all()
    assert (confidence[:, 48:] == 0).all()
