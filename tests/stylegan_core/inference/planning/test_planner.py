from dataclasses import replace

import pytest

from stylegan_core.inference.job.frame_settings import Conditioning, FrameSettings, Region, StyleReference
from stylegan_core.inference.job.frame_task import FrameTask, RegionFiles
from stylegan_core.inference.job.spec import Job, PlanError, read_job, write_job
from stylegan_core.inference.planning import planner
from stylegan_core.recipes.base import Kind
from stylegan_core.settings import SettingsError
from tests.stylegan_core.inference.planning.requests import plan_frames

FRAMES = [FrameTask(input=f"f.{n}.png", output=f"f.{n}.png") for n in range(10)]


def plan(model, tmp_path, frames=FRAMES, **settings):
    options = {"precision": "fp32", "device": "cpu", **settings}
    return plan_frames(model, frames, tmp_path / "in", tmp_path / "out", **options).job


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
        assert other.settings.digest() == job.settings.digest()
        assert other.digest != job.digest
    for setting in ({"strength": 0.9}, {"precision": "bf16"}, {"source_space": "linear_rec709"}):
        assert plan(tiny_model, tmp_path, **setting).settings.digest() != job.settings.digest()


def test_a_changed_job_file_is_refused(tiny_model, tmp_path):
    path = write_job(plan(tiny_model, tmp_path))
    path.write_text(path.read_text().replace("f.3.png", "g.3.png"))
    with pytest.raises(PlanError, match="changed"):
        read_job(path)
    path.write_text("{}")
    with pytest.raises(PlanError, match="not a job file"):
        read_job(path)
    with pytest.raises(PlanError, match="does not exist"):
        read_job(tmp_path / "none.json")


def test_settings_out_of_range_are_named(tiny_model, tmp_path):
    with pytest.raises(PlanError, match="did you mean ACEScg"):
        plan(tiny_model, tmp_path, source_space="ACEScgg")
    with pytest.raises(SettingsError, match=r"stylize\.chunk_frames: .*(got 0)"):
        plan(tiny_model, tmp_path, chunk_frames=0)


def test_models_that_cannot_stylize_are_refused(tiny_model, tmp_path, monkeypatch):
    card = tiny_model.card.model_copy(update={"working_space": "ACES of tomorrow"})
    with pytest.raises(PlanError, match="ACES of tomorrow"):
        plan(replace(tiny_model, card=card), tmp_path)
    monkeypatch.setattr(type(tiny_model.recipe), "scale", 2)
    with pytest.raises(PlanError, match="size"):
        plan(tiny_model, tmp_path)
    monkeypatch.setattr(type(tiny_model.recipe), "kind", Kind.SYNTHESIZE)
    with pytest.raises(PlanError, match="noise"):
        plan(tiny_model, tmp_path)


def test_what_a_job_does_not_ask_for_is_not_in_its_digest():
    assert FrameSettings().digest() == "dd10356fee109216fa912273daa638f20d328fdd0449cfdedddb6c91e0d10af5"
    weaker = FrameSettings(strength=0.5, precision="bf16")
    assert weaker.digest() == "8d2a0c613ac2ddfb27413bdf887e716ffad4b3606abbf051310d22dc7b8249d6"
    job = Job(
        chunk_frames=64,
        input_folder="/a",
        output_folder="/b",
        model_folder="/c",
        model_digest="d",
        settings=FrameSettings(),
        frames=(FrameTask(input="x", output="y", mask="/m"),),
    )
    assert job.digest == "8a5d32de8865e160ef477354b96ef8977194db167e1c59f5ccf172b9d6a27a54"


def test_regions_and_conditioning_survive_the_job_file(tiny_model, tmp_path, monkeypatch):
    files = (RegionFiles(where=tmp_path / "m.png"), RegionFiles(picture=tmp_path / "p.png"))
    frames = [frame.model_copy(update={"regions": files}) for frame in FRAMES]
    style = StyleReference(path=tmp_path / "a.png", sha256="0" * 64, weight=1.0)
    directions = Conditioning(styles=(style,), edit={"Smiling": 1.0, "Glasses": -1.0})
    regions = (Region(value=(1, 2, 3), directions=directions, feather_px=2.0), Region(shows_picture=True))

    def plan_with(conditioning, regions, **settings):
        monkeypatch.setattr(planner, "plan_conditioning", lambda *_, **__: conditioning)
        monkeypatch.setattr(planner, "plan_regions", lambda request, frames, *_: (regions, frames))
        return plan(tiny_model, tmp_path, frames if regions else FRAMES, **settings)

    job = plan_with(directions, regions, outside_regions="style")
    assert read_job(write_job(job)) == job
    assert '"elsewhere":"style"' in job.file.read_text(), "the key of version 1"
    assert read_job(write_job(job)).model_dump_json() == job.model_dump_json(), "texts in files show this order"
    moved = StyleReference(path=tmp_path / "b.png", sha256="0" * 64, weight=1.0)
    same = plan_with(directions.model_copy(update={"styles": (moved,)}), ())
    assert same.settings.digest() == plan_with(directions, ()).settings.digest()
    with pytest.raises(PlanError, match="there are none"):
        plan(tiny_model, tmp_path, outside_regions="style")
