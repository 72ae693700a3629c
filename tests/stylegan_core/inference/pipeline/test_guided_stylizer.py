"""A guided job: what the network gets, which frames a changed painting remakes, bands, windows and exactness."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from stylegan_core.inference.network import tiling
from stylegan_core.inference.network.translate import translate_unit
from stylegan_core.inference.reading import frame_reader
from stylegan_core.inference.reading.guide_flows import read_flow
from stylegan_core.inference.render import conditioned_model
from stylegan_core.motion.guide import KeyView, guide_of
from stylegan_core.recipes.model import Model
from tests.stylegan_core.inference.guided_shot import GuidedShot, make_shot, pixels, save_guided_model, stylize


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return save_guided_model(tmp_path_factory.mktemp("models") / "guided")


@pytest.fixture
def shot(tmp_path: Path) -> GuidedShot:
    return make_shot(tmp_path, 6, (2, 5))


def unit(path: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB).astype(np.float32) / 255


def test_the_network_gets_the_frame_its_guide_and_the_confidence(shot: GuidedShot, model: Model) -> None:
    plan = shot.plan(model, filter_frames=0)
    assert len(stylize(plan, model)) == 6
    task = plan.job.frames[2]
    frame = unit(plan.job.input_path(task))
    keys = [
        KeyView(
            unit(shot.plates / guide.input),
            unit(guide.path),
            read_flow(plan.job.state_folder / str(guide.flow_file), str(guide.flow)),
            guide.distance,
        )
        for guide in task.guides
    ]
    picture, confidence = guide_of(frame, keys)
    assert confidence.mean() > 0.8
    expected = translate_unit(model, np.dstack([frame, picture, confidence]))
    made = pixels(plan)[task.output][..., ::-1]
    assert np.abs(made - np.clip(expected * 255, 0, 255)).max() <= 1.01
    alone = translate_unit(model, frame)
    assert np.abs(np.clip(alone, 0, 1) - np.clip(expected, 0, 1)).mean() > 0.05


def test_a_changed_painting_remakes_the_frames_that_use_it(tmp_path: Path, model: Model) -> None:
    shot = make_shot(tmp_path, 8, (1, 2, 3, 7))
    stylize(shot.plan(model), model)
    assert stylize(shot.plan(model), model) == []
    shot.paint(1, seed=5)
    # Frames 4 to 6 and 8 are guided by 2, 3 and 7; 2, 3 and 7 by themselves.
    assert stylize(shot.plan(model), model) == ["shot.0001.png"]
    shot.paint(2, seed=5)
    assert stylize(shot.plan(model), model) == [f"shot.{number:04d}.png" for number in (2, 4, 5, 6)]


@pytest.mark.parametrize("blend_frames", [0, 1])
def test_results_do_not_depend_on_chunks(shot: GuidedShot, model: Model, blend_frames: int) -> None:
    one = shot.plan(model, "one", blend_frames=blend_frames, chunk_frames=1)
    all_together = shot.plan(model, "all", blend_frames=blend_frames)
    part = shot.plan(model, "part", blend_frames=blend_frames, frames="4-5")
    for plan in (one, all_together, part):
        stylize(plan, model)
    for name, made in pixels(one).items():
        assert np.array_equal(made, pixels(all_together)[name])
        assert name not in pixels(part) or np.array_equal(made, pixels(part)[name])


@pytest.mark.parametrize("blend_frames", [0, 1])
@pytest.mark.parametrize("held", [(1, 8), (1, 4)], ids=["a still", "a hold before a pan"])
def test_equal_frames_have_results_of_their_own(
    tmp_path: Path, model: Model, held: tuple[int, int], blend_frames: int
) -> None:
    shot = make_shot(tmp_path, 8, (1, 8))
    shot.paint(8, seed=5)
    for number in range(held[0] + 1, held[1] + 1):
        shutil.copyfile(shot.plates / f"shot.{held[0]:04d}.png", shot.plates / f"shot.{number:04d}.png")
    whole = shot.plan(model, "whole", blend_frames=blend_frames)
    stylize(whole, model)
    for number in range(2, 8):
        alone = shot.plan(model, f"alone_{number}", blend_frames=blend_frames, frames=str(number))
        stylize(alone, model)
        for name, made in pixels(alone).items():
            assert np.array_equal(made, pixels(whole)[name])


def test_strips_that_are_too_narrow_for_a_search_are_made(tmp_path: Path, model: Model) -> None:
    shot = make_shot(tmp_path, 3, (2,))
    for folder in (shot.plates, shot.painted):
        for path in folder.iterdir():
            cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), (3000, 40)))
    assert len(stylize(shot.plan(model), model)) == 3


def test_bands_of_large_frames_equal_the_whole(shot: GuidedShot, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = shot.plan(model, "whole")
    stylize(whole, model)
    for module in (frame_reader, conditioned_model, tiling):
        monkeypatch.setattr(module, "MOST_WHOLE_PX", 1 << 10)
    monkeypatch.setattr(tiling, "TILE_BYTES", 1)
    bands = shot.plan(model, "bands")
    stylize(bands, model)
    for name, made in pixels(whole).items():
        assert np.abs(made.astype(int) - pixels(bands)[name]).max() <= 1


def test_strength_0_and_masked_parts_stay_exact(shot: GuidedShot, model: Model) -> None:
    plan = shot.plan(model, strength=0.0)
    stylize(plan, model)
    for name, made in pixels(plan).items():
        assert np.array_equal(made, cv2.imread(str(shot.plates / name)))
    masks = shot.root / "masks"
    masks.mkdir()
    for number in range(1, 7):
        mask = np.zeros((64, 96), np.uint8)
        mask[:, :40] = 255
        cv2.imwrite(str(masks / f"mask.{number:04d}.png"), mask)
    masked = shot.plan(model, "masked", masks=masks)
    stylize(masked, model)
    for name, made in pixels(masked).items():
        assert np.array_equal(made[:, 40:], cv2.imread(str(shot.plates / name))[:, 40:])
        assert not np.array_equal(made[:, :40], cv2.imread(str(shot.plates / name))[:, :40])


def test_regions_use_the_guide(shot: GuidedShot, model: Model) -> None:
    whole = shot.plan(model, "whole")
    stylize(whole, model)
    mask = np.zeros((64, 96), np.uint8)
    mask[:, :48] = 255
    cv2.imwrite(str(shot.root / "where.png"), mask)
    (shot.root / "regions.yaml").write_text("- where: where.png\n")
    regions = shot.plan(model, "regions", regions=shot.root / "regions.yaml")
    stylize(regions, model)
    for name, made in pixels(whole).items():
        assert np.abs(made[:, :48].astype(int) - pixels(regions)[name][:, :48]).max() <= 1
        assert np.array_equal(pixels(regions)[name][:, 48:], cv2.imread(str(shot.plates / name))[:, 48:])
