"""Several models on one frame, through the stylizer, compared with a plain loop."""

import shutil

import cv2
import numpy as np
import pytest

from stylegan_core.inference.job.frame_settings import FrameSettings, Region
from stylegan_core.inference.job.frame_task import FrameTask, RegionFiles
from stylegan_core.inference.job.spec import Job, PlanError
from stylegan_core.inference.network.translate import translate_unit
from stylegan_core.inference.output.skip_check import frames_to_make
from stylegan_core.inference.pipeline import memory_budget
from stylegan_core.inference.pipeline.stylizer import Stylizer
from stylegan_core.inference.render import conditioned_model, model_bank
from stylegan_core.recipes.model import load_model, save_model
from stylegan_core.storage.records import read_records

HEIGHT, WIDTH = 40, 56


@pytest.fixture
def second_model(tiny_model, tmp_path):
    """Another tiny model, of other weights."""
    networks = {key: -value for key, value in tiny_model.recipe.networks.state_dict().items()}
    card = tiny_model.card
    save_model(
        tmp_path / "second",
        recipe=card.recipe,
        config=tiny_model.recipe.config,
        working_space="srgb",
        sample_type="uint8",
        steps=1,
        images_seen=8,
        chosen="last",
        last=networks,
        best=networks,
        networks=networks,
    )
    return load_model(tmp_path / "second")


@pytest.fixture
def frames(tmp_path, noise_picture):
    """Three frames; masks: left third, middle third, nothing; a label map of both."""
    (tmp_path / "in").mkdir()
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"in/f.{number}.png"), noise_picture(number, HEIGHT, WIDTH))
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[:, :19], labels[:, 19:38] = 1, 2
    for name, mask in {"left": labels == 1, "middle": labels == 2, "nothing": labels > 9, "all": labels < 9}.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), mask.astype(np.uint8) * 255)
    cv2.imwrite(str(tmp_path / "labels.png"), labels)
    return labels


@pytest.fixture
def job_of(tmp_path, frames, tiny_model):
    def make(regions, files, **settings):
        return Job(
            chunk_frames=64,
            input_folder=tmp_path / "in",
            output_folder=tmp_path / "out",
            model_folder=tiny_model.folder,
            model_digest=tiny_model.card.digest,
            settings=FrameSettings(regions=tuple(regions), **settings),
            frames=tuple(
                FrameTask(
                    input=f"f.{n}.png",
                    output=f"f.{n}.png",
                    regions=tuple(RegionFiles(where=tmp_path / f"{name}.png") for name in files),
                )
                for n in range(3)
            ),
        )

    return make


def of(model, **fields):
    return Region(model_folder=model.folder, model_digest=model.card.digest, **fields)


def run(job, model):
    with Stylizer(job, model) as work:
        return work.chunk(0)


def rgb(path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def change_of(path, model):
    """Of a network, in codes."""
    source = rgb(path).astype(np.float32) / 255
    return (translate_unit(model, source) - source) * 255


def test_two_models_share_a_frame_and_the_rest_is_the_source(job_of, tiny_model, second_model, tmp_path, frames):
    job = job_of([of(tiny_model), of(second_model, strength=0.5)], ["left", "middle"])
    assert len(run(job, tiny_model).made) == 3
    for frame in job.frames:
        source, made = rgb(job.input_path(frame)), rgb(job.output_path(frame)).astype(int)
        first, second = (change_of(job.input_path(frame), m) for m in (tiny_model, second_model))
        expected = source + (frames == 1)[..., None] * first + 0.5 * (frames == 2)[..., None] * second
        assert np.abs(made - np.clip(expected, 0, 255)).max() <= 1
        assert (made[frames == 0] == source[frames == 0]).all()
        for label in (1, 2):
            assert np.abs(made - source)[frames == label].mean() > 1  # both did something


def test_label_maps_equal_masks(job_of, tiny_model, second_model, tmp_path):
    run(job_of([of(tiny_model), of(second_model)], ["left", "middle"]), tiny_model)
    by_masks = [rgb(path) for path in sorted((tmp_path / "out").glob("*.png"))]
    shutil.rmtree(tmp_path / "out")
    run(job_of([of(tiny_model, value=1), of(second_model, value=2)], ["labels", "labels"]), tiny_model)
    for path, expected in zip(sorted((tmp_path / "out").glob("*.png")), by_masks, strict=True):
        assert np.array_equal(rgb(path), expected)


def test_outside_of_regions_is_the_jobs_model_and_edges_are_soft(job_of, tiny_model, second_model, frames):
    job = job_of([of(second_model, feather_px=2.0)], ["left"], outside_regions="style", strength=0.8)
    run(job, tiny_model)
    frame = job.frames[0]
    source, made = rgb(job.input_path(frame)), rgb(job.output_path(frame)).astype(int)
    first, second = (change_of(job.input_path(frame), m) for m in (second_model, tiny_model))
    share = cv2.GaussianBlur((frames == 1).astype(np.float32), (13, 13), 2.0, borderType=cv2.BORDER_REPLICATE)
    expected = source + share[..., None] * first + (1 - share[..., None]) * 0.8 * second
    assert np.abs(made - np.clip(expected, 0, 255)).max() <= 1
    assert 0 < share[20, 20] < 0.5 < share[20, 18] < 1


def test_a_picture_replaces_a_region(job_of, tiny_model, tmp_path, frames):
    cv2.imwrite(str(tmp_path / "sky.png"), np.full((10, 90, 3), (200, 100, 50), np.uint8))
    job = job_of([Region(shows_picture=True)], ["left"])
    files = RegionFiles(where=tmp_path / "left.png", picture=tmp_path / "sky.png")
    job = job.model_copy(update={"frames": tuple(f.model_copy(update={"regions": (files,)}) for f in job.frames)})
    assert len(run(job, tiny_model).made) == 3
    made, source = rgb(job.output_path(job.frames[1])), rgb(job.input_path(job.frames[1]))
    assert (np.abs(made[frames == 1].astype(int) - (50, 100, 200)) <= 1).all()
    assert (made[frames != 1] == source[frames != 1]).all()


def test_models_run_only_where_they_are_visible_and_equal_regions_share_a_run(
    job_of, tiny_model, second_model, tmp_path, monkeypatch
):
    ran, plain = [], conditioned_model.translate_batch_unit

    def counted(recipe, batch, **kwargs):
        ran.append((id(recipe), len(batch)))
        return plain(recipe, batch, **kwargs)

    monkeypatch.setattr(conditioned_model, "translate_batch_unit", counted)
    regions = [of(tiny_model, strength=0.3), of(tiny_model, strength=0.9), of(second_model)]
    run(job_of(regions, ["left", "middle", "nothing"], outside_regions="style"), tiny_model)
    assert {recipe for recipe, _ in ran} == {id(tiny_model.recipe)}
    assert sum(count for _, count in ran) == 3
    ran.clear()
    shutil.rmtree(tmp_path / "out")
    run(job_of([of(second_model)], ["all"], outside_regions="style"), tiny_model)
    assert {recipe for recipe, _ in ran}.isdisjoint({id(tiny_model.recipe)})
    assert sum(count for _, count in ran) == 3


def test_a_changed_mask_or_region_is_made_again_and_nothing_else(job_of, tiny_model, second_model, tmp_path):
    job = job_of([of(second_model)], ["left"])
    assert len(run(job, tiny_model).made) == 3
    assert run(job, tiny_model).skipped == 3
    assert frames_to_make(job) == []
    assert len(read_records(job.output_folder)[0].regions) == 2
    other = RegionFiles(where=tmp_path / "middle.png")
    frames = (job.frames[0].model_copy(update={"regions": (other,)}), *job.frames[1:])
    assert run(job.model_copy(update={"frames": frames}), tiny_model).made == ("f.0.png",)
    shutil.copy(tmp_path / "middle.png", tmp_path / "left.png")
    assert len(frames_to_make(job)) == 2  # one has that mask's content already
    soft = job_of([of(second_model, feather_px=1.0)], ["left"])
    assert len(frames_to_make(soft)) == 3
    without = job_of([], [])
    assert len(frames_to_make(without)) == 3


def test_a_missing_mask_fails_its_frame_alone(job_of, tiny_model):
    job = job_of([of(tiny_model)], ["left"])
    frames = (job.frames[0].model_copy(update={"regions": (RegionFiles(),)}), *job.frames[1:])
    report = run(job.model_copy(update={"frames": frames}), tiny_model)
    assert report.made == ("f.1.png", "f.2.png")
    assert "region 1 has no mask" in report.failed[0].reason


def test_a_region_whose_model_was_trained_again_is_refused(job_of, tiny_model, second_model):
    job = job_of([Region(model_folder=second_model.folder, model_digest="0" * 64)], ["left"])
    with pytest.raises(PlanError, match="trained again"):
        Stylizer(job, tiny_model)


def test_a_recipe_that_accepts_strength_applies_it_itself(tiny_model, monkeypatch):
    assert model_bank.blend_back_strength(tiny_model.recipe, 0.4) == 0.4
    monkeypatch.setattr(type(tiny_model.recipe), "conditioned_on", ("labels",))
    assert model_bank.blend_back_strength(tiny_model.recipe, 0.4) == 1.0
    assert model_bank.blend_back_strength(tiny_model.recipe, 0.0) == 0.0  # the source, exactly


def test_memory_grows_with_regions_in_the_plan(job_of):
    plain = memory_budget.bytes_per_pixel(job_of([], []))
    assert plain == memory_budget.BYTES_PER_PIXEL
    few, many = (memory_budget.bytes_per_pixel(job_of([Region()] * n, ["left"] * n)) for n in (1, 9))
    assert plain < few < many
