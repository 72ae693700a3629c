"""The planner's choice: measured once, equal to torch, kept by a rerun."""

from __future__ import annotations

import json

import pytest
import torch

from stylegan_core.inference.job.frame_settings import FrameSettings
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.plan import Draft
from stylegan_core.inference.job.spec import Job, PlanError, write_job
from stylegan_core.inference.network.backends import benchmark as choose
from stylegan_core.inference.network.backends.benchmark import Choice, fastest
from stylegan_core.inference.network.backends.compile import BackEndError
from stylegan_core.inference.planning.steps import backend
from stylegan_core.inference.planning.steps.backend import plan_back_end
from stylegan_core.stylize_settings import RenderSettings


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def clock(monkeypatch):
    """Seconds of each back end and precision on the probe; OpenVINO's bf16 is the fastest."""
    seconds = {("torch", "fp32"): 4.0, ("torch", "bf16"): 2.0, ("openvino", "bf16"): 1.0, ("openvino", "fp32"): 3.0}
    calls: list[tuple[str, str]] = []
    plain = choose.runner

    def named(recipe, conditions, back_end, precision):
        run = plain(recipe, conditions, back_end, precision)
        return lambda content: (calls.append((back_end, precision)), run(content))[1]

    def timed(run, content, device):
        run(content)
        return seconds[calls[-1]]

    monkeypatch.setattr(choose, "runner", named)
    monkeypatch.setattr(choose, "_seconds", timed)
    monkeypatch.setattr(choose, "has_bf16", lambda device: True)
    monkeypatch.setattr("stylegan_core.inference.network.precision.has_bf16", lambda device: True)
    return seconds, calls


@pytest.fixture
def job(tmp_path, tiny_model):
    return Job(
        chunk_frames=64,
        input_folder=tmp_path / "in",
        output_folder=tmp_path / "out",
        model_folder=tiny_model.folder,
        model_digest=tiny_model.card.digest,
        settings=FrameSettings(precision="bf16"),
        frames=(FrameTask(input="a.png", output="a.png"),),
    )


def test_the_fastest_is_measured_once_and_small_frames_search_for_none(tiny_model, clock):
    _, calls = clock
    small = fastest(tiny_model, "auto", "cpu", 1e-6)
    assert (small.back_end, small.precision) == ("torch", "bf16")
    assert {name for name, _ in calls} == {"torch"}
    large = fastest(tiny_model, "auto", "cpu", 8.0)
    assert (large.back_end, large.precision) == ("openvino", "bf16")
    done = len(calls)
    assert fastest(tiny_model, "auto", "cpu", 8.0) == large
    assert fastest(tiny_model, "auto", "cpu", 1e-6) == small
    assert len(calls) == done


def test_a_precision_that_is_asked_for_is_kept(tiny_model, clock):
    seconds, _ = clock
    assert fastest(tiny_model, "fp32", "cpu", 8.0) == Choice("openvino", "fp32", pytest.approx(0.1024 / 3, abs=1e-4))
    seconds["openvino", "bf16"] = 1.9  # not worth another's rounding
    assert fastest(tiny_model, "bf16", "cpu", 8.0).back_end == "torch"


def test_what_differs_from_torch_is_not_taken(tiny_model, clock, monkeypatch):
    plain = choose.runner

    def wrong(recipe, conditions, back_end, precision):
        run = plain(recipe, conditions, back_end, precision)
        return (lambda content: run(content) + 0.02) if (back_end, precision) == ("openvino", "bf16") else run

    monkeypatch.setattr(choose, "runner", wrong)
    assert fastest(tiny_model, "auto", "cpu", 8.0) == Choice("torch", "bf16", pytest.approx(0.0512, abs=1e-4))


def test_a_rerun_keeps_what_its_frames_were_made_with(tiny_model, job, clock, monkeypatch):
    monkeypatch.setattr(backend, "_megapixels", lambda job: 8.0)
    first = plan_back_end(Draft(job), tiny_model, RenderSettings()).job
    assert first.settings.back_end == "openvino"
    write_job(first)
    for memory in choose.cache_folder("back-ends").iterdir():  # another hour, another measurement
        memory.write_text(json.dumps([Choice("torch", "bf16", 0.05).__dict__] * 2))
    assert plan_back_end(Draft(job), tiny_model, RenderSettings()).job.settings == first.settings
    other = job.model_copy(update={"settings": job.settings.model_copy(update={"strength": 0.5})})
    assert plan_back_end(Draft(other), tiny_model, RenderSettings()).job.settings.back_end == "torch"


def test_a_back_end_by_name_is_checked(tiny_model, job, monkeypatch):
    asked = RenderSettings(back_end="openvino", precision="bf16")
    made = plan_back_end(Draft(job), tiny_model, asked).job
    assert (made.settings.back_end, made.settings.precision) == ("openvino", "bf16")
    half = job.model_copy(update={"settings": job.settings.model_copy(update={"precision": "fp16"})})
    with pytest.raises(PlanError, match="openvino supports precision fp32 or bf16"):
        plan_back_end(Draft(half), tiny_model, RenderSettings(back_end="openvino", precision="fp16"))
    monkeypatch.setattr(backend, "difference_unit", lambda made, exact: 0.1)
    with pytest.raises(PlanError, match="differs from torch by 25"):
        plan_back_end(Draft(job), tiny_model, asked)


def test_a_trace_that_fits_one_size_alone_is_seen(tiny_model, monkeypatch):
    recipe = tiny_model.recipe
    plain = type(recipe).translate
    monkeypatch.setattr(
        type(recipe), "translate", lambda self, x, c: plain(self, x, c) + (0.3 if int(x.shape[2]) > 200 else 0.0)
    )
    content = choose.probe(recipe, "cpu")
    run = choose.runner(recipe, choose.Conditions(), "openvino", "fp32")
    assert torch.isfinite(run(content)).all()
    with pytest.raises(BackEndError, match="differs"):
        backend._check_same(recipe, run, "cpu")
