import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.plan import Plan, write_plan
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.job.summary import summarize
from stylegan_core.inference.planning.shots.shot_motion import nearest_keys
from stylegan_core.inference.planning.steps import guides as module
from stylegan_core.inference.reading.decode import FrameDecoder
from stylegan_core.inference.reading.frame_reader import FrameReader
from stylegan_core.inference.reading.guide_flows import GRID_PX, read_flow
from stylegan_core.recipes.model import Model
from tests.stylegan_core.frames.movies import sample_movies as movies
from tests.stylegan_core.inference.guided_shot import STEP_PX, GuidedShot, make_shot, save_guided_model, texture
from tests.stylegan_core.inference.planning.requests import plan_selected


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return save_guided_model(tmp_path_factory.mktemp("models") / "guided")


@pytest.fixture
def shot(tmp_path: Path) -> GuidedShot:
    return make_shot(tmp_path, 7, (2, 6))


def numbers(task: FrameTask) -> list[int]:
    return [guide.number for guide in task.guides]


def by_number(plan: Plan) -> dict[int | None, FrameTask]:
    return {task.number: task for task in plan.job.frames}


def digests(plan: Plan) -> dict[int | None, str]:
    digest = plan.job.settings_digest()
    return {task.number: digest(task) for task in plan.job.frames}


def test_the_nearest_key_frames_on_each_side_guide_a_frame() -> None:
    keys = [2, 5, 9, 20]
    assert nearest_keys(7, keys, 2) == [2, 5, 9, 20]
    assert nearest_keys(12, keys, 2) == [5, 9, 20]
    assert nearest_keys(1, keys, 2) == [2, 5]
    assert nearest_keys(9, keys, 2) == [9]


def test_each_frame_gets_its_key_frames_with_the_motion_to_them(shot: GuidedShot, model: Model) -> None:
    plan = shot.plan(model)
    tasks = by_number(plan)
    assert [numbers(tasks[number]) for number in range(1, 8)] == [[2, 6], [2], [2, 6], [2, 6], [2, 6], [6], [2, 6]]
    assert (tasks[2].guides[0].distance, tasks[2].guides[0].flow) == (0, None)
    guide = tasks[5].guides[0]
    assert (guide.distance, guide.input, guide.path) == (3, "shot.0002.png", shot.painted / "key_002.png")
    write_plan(plan)
    assert guide.flow is not None
    assert guide.flow_file is not None
    flow = read_flow(plan.job.state_folder / guide.flow_file, guide.flow)
    # What frame 5 shows lies further to the right in frame 2.
    assert abs(float(flow.there[8:-8, 4:28, 0].mean()) - 3 * STEP_PX / GRID_PX) < 0.1
    assert plan.job.guide_files(tasks[5]) == tuple(
        path
        for number in (2, 6)
        for path in (shot.painted / f"key_{number:03d}.png", shot.plates / f"shot.{number:04d}.png")
    )


def test_a_part_of_the_shot_has_the_guides_of_the_whole(shot: GuidedShot, model: Model) -> None:
    whole, part = shot.plan(model), shot.plan(model, frames="4-5", chunk_frames=1)
    assert {number: digests(whole)[number] for number in (4, 5)} == digests(part)


def test_a_new_key_frame_changes_only_the_frames_that_it_guides(tmp_path: Path, model: Model) -> None:
    shot = make_shot(tmp_path, 12, (1, 3, 4, 11))
    before = digests(shot.plan(model))
    shot.paint(9)
    after = digests(shot.plan(model))
    assert [number for number in before if before[number] != after[number]] == [5, 6, 7, 8, 9, 10, 12]
    assert numbers(by_number(shot.plan(model))[2]) == [1, 3, 4]


def test_flows_of_an_earlier_run_are_used_again(
    shot: GuidedShot, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shot.plan(model)
    write_plan(first)
    monkeypatch.setattr(module, "chain_proxy", lambda unit: pytest.fail("reads a frame again"))
    again = shot.plan(model)
    assert again.job.digest == first.job.digest
    assert again.artifacts == first.artifacts


def test_key_frames_beyond_a_cut_guide_nothing(shot: GuidedShot, model: Model, tmp_path: Path) -> None:
    (tmp_path / "cuts.txt").write_text("5\n")
    tasks = by_number(shot.plan(model, cuts=str(tmp_path / "cuts.txt")))
    assert [numbers(tasks[number]) for number in range(1, 8)] == [[2], [2], [2], [2], [6], [6], [6]]


def test_frames_of_another_size_have_no_guide(shot: GuidedShot, model: Model) -> None:
    cv2.imwrite(str(shot.plates / "shot.0004.png"), shot.seen(4, 0)[:50])
    tasks = by_number(shot.plan(model))
    assert numbers(tasks[4]) == []
    assert numbers(tasks[5]) == [2, 6]


def test_neighbours_in_windows_have_their_own_guides(shot: GuidedShot, model: Model) -> None:
    plan = shot.plan(model, blend_frames=1, filter_frames=0)
    tasks = by_number(plan)
    assert [[guide.number for guide in other.guides] for other in tasks[3].window] == [[2], [2, 6]]
    assert len(plan.job.auxiliary_files(tasks[3])) == 2 + 4
    filtered = by_number(shot.plan(model, blend_frames=1))
    assert [(other.offset, numbers(other)) for other in filtered[3].window] == [
        *[(-2, [2, 6]), (-1, [2]), (1, [2, 6]), (2, [2, 6])]
    ]


def test_a_key_frame_does_not_depend_on_the_guides_of_its_neighbours(shot: GuidedShot, model: Model) -> None:
    tasks = by_number(shot.plan(model))
    assert [(other.offset, other.guides) for other in tasks[2].window] == [(-1, ()), (1, ())]
    assert [numbers(other) for other in tasks[3].window] == [[2], [2, 6]]


def test_nothing_is_guided_at_strength_0(shot: GuidedShot, model: Model) -> None:
    assert not any(task.guides for task in shot.plan(model, strength=0.0).job.frames)


def test_a_model_without_guide_ignores_key_frames_with_a_warning(
    shot: GuidedShot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unguided = save_guided_model(tmp_path / "unguided", guide=False)
    with caplog.at_level(logging.WARNING):
        plan = shot.plan(unguided)
    assert "takes no key frames: --key-frames is ignored" in caplog.text
    assert plan.job.digest == shot.plan(unguided, key_frames=None).job.digest


def test_wrong_key_frames_are_refused(shot: GuidedShot, model: Model) -> None:
    with pytest.raises(PlanError, match="there is no file or folder"):
        shot.plan(model, key_frames=shot.root / "nowhere")
    cv2.imwrite(str(shot.painted / "key_006.png"), shot.seen(6, 1)[:32])
    with pytest.raises(PlanError, match=r"key_006.png is 96 x 32 px, its frame 6 is 96 x 64 px"):
        shot.plan(model)
    (shot.painted / "key_006.png").rename(shot.painted / "key_40.png")
    (shot.painted / "key_002.png").rename(shot.painted / "key_41.png")
    with pytest.raises(PlanError, match="none of its pictures has the number of a frame"):
        shot.plan(model)


def test_key_frames_of_a_movie_are_its_frames_by_number(tmp_path: Path, model: Model) -> None:
    movies.make_movie(tmp_path / "shot.mkv", "ffv1", "yuv420p", width=96, height=64)
    (tmp_path / "painted").mkdir()
    cv2.imwrite(str(tmp_path / "painted" / "shot.0002.png"), texture(96, 1))
    plan = plan_selected(model, tmp_path / "shot.mkv", tmp_path / "out", key_frames=tmp_path / "painted", cuts="none")
    (own,) = plan.job.frames[1].guides
    assert (own.number, own.index, own.input, own.distance) == (2, 1, "shot.mkv", 0)
    assert [guide.index for guide in plan.job.frames[0].guides] == [1]
    assert plan.job.guide_files(plan.job.frames[0]) == (tmp_path / "painted" / "shot.0002.png",)
    assert "shot.0002.png" in summarize(plan.job)["key frames"]


def test_several_sequences_are_refused(shot: GuidedShot, model: Model) -> None:
    for number in (1, 2):
        cv2.imwrite(str(shot.plates / f"other.{number:04d}.png"), shot.seen(number, 0))
    with pytest.raises(PlanError, match="guide one numbered sequence or movie, and the input has 2 numbered sequences"):
        shot.plan(model)


def test_a_black_frame_has_no_guide(shot: GuidedShot, model: Model) -> None:
    (shot.plates / "shot.0004.png").unlink()
    tasks = by_number(shot.plan(model, missing="black"))
    assert (tasks[4].missing, numbers(tasks[4])) == ("black", [])
    assert [numbers(tasks[number]) for number in (3, 5)] == [[2, 6], [2, 6]]


def test_masks_mark_the_painted_part_of_key_frames(shot: GuidedShot, model: Model) -> None:
    masks = shot.root / "masks"
    masks.mkdir()
    cv2.imwrite(str(masks / "m.0002.png"), np.zeros((64, 96), np.uint8))
    before, plan = (shot.plan(model, key_masks=given, filter_frames=0) for given in (None, masks))
    assert [guide.mask_path for guide in by_number(plan)[3].guides] == [masks / "m.0002.png", None]
    assert digests(plan) == digests(before)  # where a mask is does not matter; its content is checked as a file
    assert masks / "m.0002.png" in plan.job.auxiliary_files(by_number(plan)[3])
    write_plan(plan)
    frame = FrameDecoder(plan.job, FrameReader(plan.job)).decode(by_number(plan)[2])
    assert frame.guide is not None
    assert (frame.guide.rows(0, 64)[..., 3] == 0).all()
    assert [state is not None for state in frame.auxiliary_files] == [True, True]
