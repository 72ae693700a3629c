"""The planner: reads a whole shot before the first frame and settles one job, which workers only read."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stylegan_core.inference.job.frame_settings import Conditioning, FrameSettings, Region
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.plan import Draft, Plan
from stylegan_core.inference.job.spec import Job, PlanError, read_job
from stylegan_core.inference.network.device import choose_device
from stylegan_core.inference.network.precision import choose_precision
from stylegan_core.inference.planning.steps.backend import plan_back_end
from stylegan_core.inference.planning.steps.colour import plan_colour
from stylegan_core.inference.planning.steps.curves import plan_curves
from stylegan_core.inference.planning.steps.norm_statistics import plan_norm_statistics
from stylegan_core.inference.planning.steps.provenance import plan_provenance
from stylegan_core.inference.planning.steps.shots import plan_shots
from stylegan_core.recipes.base import Kind
from stylegan_core.storage.records import read_records
from stylegan_core.stylize_settings import RenderSettings

if TYPE_CHECKING:
    from stylegan_core.recipes.model import Model

Step = Callable[[Draft, "Model", RenderSettings], Draft]
STEPS: tuple[Step, ...] = (
    *(plan_colour, plan_curves, plan_shots),
    *(plan_norm_statistics, plan_back_end, plan_provenance),
)
"""What settles the rest of a job, in order: each takes the draft so far and returns it with its own fields filled.

Raises:
    PlanError: what is asked cannot be done.
"""
DEFAULT_RENDER = RenderSettings()


def plan_job(  # noqa: PLR0913
    frames: Sequence[FrameTask],
    *,
    input_folder: Path,
    output_folder: Path,
    model: Model,
    render: RenderSettings = DEFAULT_RENDER,
    source_space: str = "auto",
    chunk_frames: int = 64,
    device: str = "auto",
    directions: Conditioning | None = None,
    regions: Sequence[Region] = (),
    elsewhere: Literal["source", "style"] = "source",
    earlier: Sequence[Path] = (),
) -> Plan:
    """Settles everything that chunks and machines must agree on, and writes nothing: ``write_plan`` does.

    Args:
        frames: from ``select_frames``, with the regions' files from ``plan_regions``.
        input_folder: what the frames' inputs are relative to.
        output_folder: what their outputs are relative to.
        model: from ``load_model``; its working space becomes the job's.
        render: what is asked of all frames; what it leaves to the planner is settled here.
        source_space: see ``source_space_of``.
        chunk_frames: frames of one task run.
        device: "auto" or torch's name of one.
        directions: of ``model``, from ``plan_conditioning``.
        regions: from ``plan_regions``.
        elsewhere: what is outside of all regions.
        earlier: state folders of other outputs, whose artifacts are used again after those of ``output_folder``.
    Raises:
        PlanError: the model cannot do this, or a setting is out of range.
    """
    check_translates(model)
    card = model.card
    if chunk_frames < 1:
        raise PlanError(f"a chunk has at least one frame, not {chunk_frames}")
    if elsewhere != "source" and not regions:
        raise PlanError("elsewhere says what is outside of regions, and there are none")
    device = choose_device(device)
    job = Job(
        input_folder=input_folder.absolute(),
        output_folder=output_folder.absolute(),
        model_folder=model.folder.absolute(),
        model_digest=card.digest,
        device=device,
        chunk_frames=chunk_frames,
        settings=FrameSettings(
            strength=render.strength,
            precision=choose_precision(model.recipe, render.precision, device),
            source_space=source_space,
            keep_source_colour=render.keep_source_colour,
            working_space=card.working_space,
            directions=directions or Conditioning(),
            regions=tuple(regions),
            elsewhere=elsewhere,
        ),
        frames=tuple(frames),
    )
    draft = Draft(job, state_folders=(job.state_folder, *earlier))
    for step in STEPS:
        draft = step(draft, model, render)
    # As workers read it from its file, where entries are sorted: texts in output files show their order.
    job = Job.model_validate_json(json.dumps(draft.job.model_dump(mode="json"), sort_keys=True))
    return Plan(job, draft.artifacts)


def check_translates(model: Model) -> None:
    """Refuses a model that cannot stylize frames.

    Raises:
        PlanError: it makes pictures from noise, or changes their size.
    """
    card = model.card
    if model.recipe.kind is not Kind.TRANSLATE:
        raise PlanError(f"{model.folder} holds a {card.recipe} model, which makes pictures from noise alone")
    if model.recipe.scale != 1:
        raise PlanError(f"{model.folder} holds a {card.recipe} model, which changes the size; stylize keeps it")


def refuse_foreign_outputs(job: Job) -> None:
    """Spares files that are there already and that no run made: a user's own, which the job would overwrite.

    A run names its frames in a job file before it makes them, so that what it left without a record, killed between
    rename and record, is known too.

    Raises:
        PlanError: there are such files.
    """
    there = [frame.output for frame in job.frames if job.output_path(frame).is_file()]
    known = {record.frame for record in read_records(job.output_folder)} if there else set()
    if set(there) <= known:
        return
    for path in job.state_folder.glob("job-*.json"):
        try:
            known |= {frame.output for frame in read_job(path).frames}
        except (PlanError, OSError):
            continue
    if foreign := [name for name in there if name not in known]:
        raise PlanError(
            f"{job.output_folder} holds {len(foreign)} files of these names that stylereel did not make, such as "
            f"{', '.join(foreign[:3])}: choose another folder, or pass --overwrite"
        )
