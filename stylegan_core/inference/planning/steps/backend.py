"""The planner's step for the back end: the runtime and the precision of the job's network."""

from __future__ import annotations

from dataclasses import replace

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.inference.job.frame_settings import BackEnd, FrameSettings, Precision
from stylegan_core.inference.job.plan import Draft, Plan
from stylegan_core.inference.job.spec import Job, PlanError, read_job, statistics_file
from stylegan_core.inference.network.backends.benchmark import difference_unit, fastest, probe
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
_LARGEST_NAMED_UNIT = 4 * LARGEST_DIFFERENCE_UNIT
"""Largest difference of a back end that the user names, possibly with its precision."""


def plan_back_end(draft: Draft, model: Model, render: RenderSettings) -> Draft:
    """Fills in the back end and the precision.

    Raises:
        PlanError: the back end that the user names is not installed, or cannot run this network.
    """
    job = draft.job
    if render.precision == "auto" and needs_fp32(job.settings):
        render = render.model_copy(update={"precision": "fp32"})
    automatic = render.back_end == "auto" and render.precision == "auto"
    if automatic and (earlier := _earlier_settings(job)) is not None:
        return draft.with_job(_with(job, earlier.back_end, earlier.precision))
    if render.back_end != "auto":
        return draft.with_job(_with_named(job, model, render, render.back_end))
    if set(model.recipe.conditioned_on) - {"direction"} or job.settings.regions or model.recipe.scale != 1:
        return draft  # conditioning and regions make networks of their own, which would all have to be converted
    choice = fastest(with_first_statistics(draft, model), render.precision, job.device, _megapixels(job))
    return draft.with_job(_with(job, choice.back_end, choice.precision))


def _with_named(job: Job, model: Model, render: RenderSettings, back_end: BackEnd) -> Job:
    """The job with the back end that the user names."""
    on_cpu = back_end in ("openvino", "onnxruntime")
    if job.device != "cpu" and on_cpu:
        raise PlanError(f"{back_end} runs on the CPU here, not on {job.device}: add --device cpu")
    precision: Precision = job.settings.precision
    if back_end == "onnxruntime" and render.precision == "auto":
        precision = "fp32"
    try:
        run = runner(model.recipe, Conditions(), back_end, precision)
        if on_cpu and not model.recipe.conditioned_on:
            _check_same(model.recipe, run, job.device)
    except BackEndError as error:
        raise PlanError(f"{error}: remove --back-end") from error
    return _with(job, back_end, precision)


def _check_same(recipe: BaseRecipe, run: Translate, device: str) -> None:
    """Refuses a back end whose pictures differ from torch's."""
    content = probe(recipe, device)
    difference = difference_unit(run(content), runner(recipe, Conditions(), "torch", "fp32")(content))
    if not difference <= _LARGEST_NAMED_UNIT:
        raise BackEndError(f"it differs from torch by {difference * 255:.1f} codes of 255 (rms)")


def _megapixels(job: Job) -> float:
    """Megapixels of the first frame that can be read."""
    reader = FrameReader(job)
    for frame in job.frames[:_TRIED]:
        try:
            picture, _ = reader.read(frame)
        except (UnreadablePictureError, OSError):
            continue
        return picture.width_px * picture.height_px / 1e6
    return 0.0


def with_first_statistics(plan: Plan, model: Model) -> Model:
    """The model with the frozen statistics of the first shot, which is another network to convert."""
    name = plan.job.frames[0].statistics
    if name is None:
        return model
    statistics = decode_statistics(plan.artifacts[statistics_file(name)])
    return replace(model, recipe=freeze(model.recipe, statistics))


def _earlier_settings(job: Job) -> FrameSettings | None:
    """Settings of an earlier job on the same folder that differ only in the back end: its frames stay up to date."""
    files = sorted(job.state_folder.glob("job-*.json"), key=lambda path: -path.stat().st_mtime_ns)
    for path in files:
        try:
            earlier = read_job(path)
        except (PlanError, OSError):
            continue
        settings = earlier.settings
        same = _with(job, settings.back_end, settings.precision).settings
        if earlier.model_digest == job.model_digest and earlier.device == job.device and same == settings:
            return None if missing_packages(settings.back_end) else settings
    return None


def _with(job: Job, back_end: BackEnd, precision: Precision) -> Job:
    settings = job.settings.model_copy(update={"back_end": back_end, "precision": precision})
    return job.model_copy(update={"settings": settings})
