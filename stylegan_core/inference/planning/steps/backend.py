"""The planner's step for the back end: which one and which precision run the job's network."""

from __future__ import annotations

from dataclasses import replace

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.inference.job.frame_settings import BackEnd, FrameSettings, Precision
from stylegan_core.inference.job.plan import Draft, Plan
from stylegan_core.inference.job.spec import Job, PlanError, read_job, statistics_file
from stylegan_core.inference.network.backends.benchmark import _difference_unit, _probe, fastest
from stylegan_core.inference.network.backends.compile import BackEndError, missing_packages, runner
from stylegan_core.inference.network.norm_statistics import decode_statistics, freeze
from stylegan_core.inference.network.precision import LARGEST_DIFFERENCE_UNIT
from stylegan_core.inference.network.tiling import Translate
from stylegan_core.inference.reading.colour import needs_fp32
from stylegan_core.inference.reading.frame_reader import FrameReader
from stylegan_core.recipes.base import BaseRecipe, Conditions
from stylegan_core.recipes.model import Model
from stylegan_core.stylize_settings import RenderSettings

_TRIED = 8
_LARGEST_ASKED_UNIT = 4 * LARGEST_DIFFERENCE_UNIT
"""Of a back end that is asked for by name, whose precision a person may have chosen."""


def plan_back_end(draft: Draft, model: Model, render: RenderSettings) -> Draft:
    """The planner's step: gives the job its back end and precision.

    Raises:
        PlanError: what is asked for is not installed, or cannot run this network.
    """
    job = draft.job
    if render.precision == "auto" and needs_fp32(job.settings):
        render = render.model_copy(update={"precision": "fp32"})
    asked = (render.back_end, render.precision)
    if asked == ("auto", "auto") and (before := _as_before(job)) is not None:
        return draft.with_job(_with(job, before.back_end, before.precision))
    if job.device != "cpu" and render.back_end in ("openvino", "onnxruntime"):
        raise PlanError(f"{render.back_end} runs on the CPU here, not on {job.device}: add --device cpu")
    if render.back_end != "auto":
        precision: Precision = job.settings.precision
        if render.back_end == "onnxruntime" and render.precision == "auto":
            precision = "fp32"
        try:
            run = runner(model.recipe, Conditions(), render.back_end, precision)
            if render.back_end in ("openvino", "onnxruntime") and not model.recipe.conditioned_on:
                _check_same(model.recipe, run, job.device)
        except BackEndError as error:
            raise PlanError(f"{error}: leave out --back-end") from error
        return draft.with_job(_with(job, render.back_end, precision))
    if set(model.recipe.conditioned_on) - {"direction"} or job.settings.regions or model.recipe.scale != 1:
        return draft  # directions and regions make networks of their own, which would all have to be converted
    choice = fastest(as_it_runs(draft, model), render.precision, job.device, _megapixels(job))
    return draft.with_job(_with(job, choice.back_end, choice.precision))


def _check_same(recipe: BaseRecipe, run: Translate, device: str) -> None:
    """Refuses what was asked for by name where its pictures would be others."""
    content = _probe(recipe, device)
    difference = _difference_unit(run(content), runner(recipe, Conditions(), "torch", "fp32")(content))
    if not difference <= _LARGEST_ASKED_UNIT:
        raise BackEndError(f"it differs from torch by {difference * 255:.1f} codes of 255 (rms)")


def _megapixels(job: Job) -> float:
    """Of the first frame that can be read."""
    sources = FrameReader(job)
    for frame in job.frames[:_TRIED]:
        try:
            picture, _ = sources.read(frame)
        except (UnreadablePictureError, OSError):
            continue
        return picture.width_px * picture.height_px / 1e6
    return 0.0


def as_it_runs(plan: Plan, model: Model) -> Model:
    """With the statistics of the first shot frozen, which is another network to convert."""
    name = plan.job.frames[0].statistics
    if name is None:
        return model
    statistics = decode_statistics(plan.artifacts[statistics_file(name)])
    return replace(model, recipe=freeze(model.recipe, statistics))


def _as_before(job: Job) -> FrameSettings | None:
    """Settings of an earlier job on the same folder that differ in nothing else: its frames stay done."""
    files = sorted(job.state_folder.glob("job-*.json"), key=lambda path: -path.stat().st_mtime_ns)
    for path in files:
        try:
            before = read_job(path)
        except (PlanError, OSError):
            continue
        settings = before.settings
        alike = _with(job, settings.back_end, settings.precision).settings
        if before.model_digest == job.model_digest and before.device == job.device and alike == settings:
            return None if missing_packages(settings.back_end) else settings
    return None


def _with(job: Job, back_end: BackEnd, precision: Precision) -> Job:
    settings = job.settings.model_copy(update={"back_end": back_end, "precision": precision})
    return job.model_copy(update={"settings": settings})
