from dataclasses import replace

import pytest

from stylegan_core.inference.job import FrameSettings, JobFrame, PlanError, read_job, write_job
from stylegan_core.inference.plan import plan_job
from stylegan_core.recipes.base import Kind

FRAMES = [JobFrame(input=f"f.{n}.png", output=f"f.{n}.png") for n in range(10)]


def plan(model, tmp_path, frames=FRAMES, **settings):
    return plan_job(
        frames, input_folder=tmp_path / "in", output_folder=tmp_path / "out", model=model,
        **{"precision": "fp32", "device": "cpu", **settings},
    )


def test_a_job_file_says_everything_and_comes_back_equal(tiny_model, tmp_path):
    job = plan(tiny_model, tmp_path, strength=0.5, chunk_frames=4)
    path = write_job(job)
    assert path == tmp_path / "out/.stylereel" / f"job-{job.digest[:16]}.json"
    assert read_job(path) == job
    assert job.settings == FrameSettings(strength=0.5, precision="fp32", working_space="srgb")
    assert job.model_digest == tiny_model.card.digest
    assert [len(chunk) for chunk in job.chunks()] == [4, 4, 2]
    assert write_job(plan(tiny_model, tmp_path, strength=0.5, chunk_frames=4)) == path  # equal jobs, equal bytes


def test_the_skip_key_leaves_out_frames_folders_and_chunks(tiny_model, tmp_path):
    job = plan(tiny_model, tmp_path)
    for other in (
        plan(tiny_model, tmp_path, FRAMES[:5]),
        plan(tiny_model, tmp_path, chunk_frames=3),
        plan(tiny_model, tmp_path / "elsewhere"),
    ):
        assert other.settings.digest() == job.settings.digest() and other.digest != job.digest
    for setting in ({"strength": 0.9}, {"precision": "bf16"}, {"source_space": "linear_rec709"}):
        assert plan(tiny_model, tmp_path, **setting).settings.digest() != job.settings.digest()


def test_a_changed_job_file_is_refused(tiny_model, tmp_path):
    path = write_job(plan(tiny_model, tmp_path))
    path.write_text(path.read_text().replace("f.3.png", "g.3.png"))
    with pytest.raises(PlanError, match="changed"):
        read_job(path)
    path.write_text("{}")
    with pytest.raises(PlanError, match="no job file"):
        read_job(path)
    with pytest.raises(PlanError, match="does not exist"):
        read_job(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("setting", "message"),
    [({"strength": 3.0}, "strength"), ({"source_space": "aces"}, "aces"), ({"chunk_frames": 0}, "chunk")],
)
def test_settings_out_of_range_are_named(tiny_model, tmp_path, setting, message):
    with pytest.raises(PlanError, match=message):
        plan(tiny_model, tmp_path, **setting)


def test_models_that_cannot_stylize_are_refused(tiny_model, tmp_path, monkeypatch):
    card = tiny_model.card.model_copy(update={"working_space": "acescct"})
    with pytest.raises(PlanError, match="acescct"):
        plan(replace(tiny_model, card=card), tmp_path)
    monkeypatch.setattr(type(tiny_model.recipe), "scale", 2)
    with pytest.raises(PlanError, match="size"):
        plan(tiny_model, tmp_path)
    monkeypatch.setattr(type(tiny_model.recipe), "kind", Kind.SYNTHESIZE)
    with pytest.raises(PlanError, match="noise"):
        plan(tiny_model, tmp_path)
