"""The planner: turns a request and its selected frames into one job, which workers only read."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stylegan_core.inference.conditioning.conditions import plan_conditioning
from stylegan_core.inference.job.frame_settings import FrameSettings
from stylegan_core.inference.job.plan import Draft, Plan
from stylegan_core.inference.job.spec import Job, PlanError, read_job
from stylegan_core.inference.network.device import choose_device
from stylegan_core.inference.network.precision import choose_precision
from stylegan_core.inference.planning.find_model import check_translates
from stylegan_core.inference.planning.regions import plan_regions
from stylegan_core.inference.planning.request import Request
from stylegan_core.inference.planning.selection.select import Selection
from stylegan_core.inference.planning.steps.backend import plan_back_end
from stylegan_core.inference.planning.steps.colour import plan_colour
from stylegan_core.inference.planning.steps.curves import plan_curves
from stylegan_core.inference.planning.steps.guides import plan_guides
from stylegan_core.inference.planning.steps.norm_statistics import plan_norm_statistics
from stylegan_core.inference.planning.steps.provenance import plan_provenance
from stylegan_core.inference.planning.steps.shots import plan_shots
from stylegan_core.storage.records import read_records
from stylegan_core.stylize_settings import RenderSettings

if TYPE_CHECKING:
    from stylegan_core.recipes.model import Model

Step = Callable[[Draft, "Model", RenderSettings], Draft]
STEPS: tuple[Step, ...] = (
    *(plan_colour, plan_curves, plan_shots, plan_guides),
    *(plan_norm_statistics, plan_back_end, plan_provenance),
)
"""The steps that complete a job, in order: each takes the draft so far and returns it with its own fields filled in.

Raises:
    PlanError: a setting cannot be satisfied.
"""


def plan_job(request: Request, selection: Selection, model: Model, *, earlier: Sequence[Path] = ()) -> Plan:
    """Decides everything that chunks and machines must agree on, writing nothing outside of the user's cache.

    ``write_plan`` writes the job and its artifacts. The cache keeps the measurement of back ends.

    Args:
        request: input, output, frames and settings of the call; its frames are those of ``selection``.
        selection: from ``select``, or of frames that are listed in another way.
        model: from ``load_model``; its working space becomes the job's.
        earlier: state folders of other outputs, whose artifacts are used again after those of the output folder.

    Raises:
        PlanError: the model does not support the request, a file is missing, or a setting is out of range.
        ModelError: a region's model cannot be loaded.
    """
    check_translates(model)
    settings, device = request.settings, choose_device(request.device)
    conditioning = plan_conditioning(
        model,
        style_images=settings.style_images,
        edit=settings.edit,
        direction=settings.direction,
        root=request.root,
        style_bank=settings.style_bank,
        vocabulary=request.vocabulary,
    )
    regions, frames = plan_regions(request, selection.frames, model, device)
    if settings.outside_regions != "source" and not regions:
        raise PlanError("--outside-regions requires regions, and there are none: add --regions")
    job = Job(
        input_folder=selection.input_folder.absolute(),
        output_folder=selection.output_folder.absolute(),
        model_folder=model.folder.absolute(),
        model_digest=model.card.digest,
        device=device,
        chunk_frames=settings.chunk_frames,
        settings=FrameSettings(
            strength=settings.strength,
            precision=choose_precision(model.recipe, settings.precision, device),
            source_space=request.source_space,
            keep_source_colour=settings.keep_source_colour,
            working_space=model.card.working_space,
            directions=conditioning,
            regions=regions,
            outside_regions=settings.outside_regions,
        ),
        movie=selection.movie,
        frames=frames,
    )
    draft = Draft(job, state_folders=(job.state_folder, *earlier))
    for step in STEPS:
        draft = step(draft, model, settings)
    # As workers read it from its file, where entries are sorted: texts in output files show their order.
    job = Job.model_validate_json(json.dumps(draft.job.model_dump(mode="json"), sort_keys=True))
    return Plan(job, draft.artifacts)


def refuse_foreign_outputs(job: Job) -> None:
    """Refuses to overwrite existing files that no run made.

    A run names its frames in a job file before it makes them, so that a file that has no record, because the run was
    killed between rename and record, is recognized too.

    Raises:
        PlanError: there are such files.
    """
    existing = [frame.output for frame in job.frames if job.output_path(frame).is_file()]
    known = {record.frame for record in read_records(job.output_folder)} if existing else set()
    if set(existing) <= known:
        return
    for path in job.state_folder.glob("job-*.json"):
        try:
            known |= {frame.output for frame in read_job(path).frames}
        except (PlanError, OSError):
            continue
    if foreign := [name for name in existing if name not in known]:
        raise PlanError(
            f"{job.output_folder} contains {len(foreign)} files with the names of outputs that stylereel did not make, "
            f"such as {', '.join(foreign[:3])}: choose another folder, or pass --overwrite"
        )
