"""The task stylize: plans a request and works on its job."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Literal

from stylegan_core.inference.delivery.movie import refuse_foreign_movie
from stylegan_core.inference.job.plan import Plan
from stylegan_core.inference.planning.find_model import stand_in_model
from stylegan_core.inference.planning.planner import plan_job, refuse_foreign_outputs
from stylegan_core.inference.planning.request import Request
from stylegan_core.inference.planning.selection.select import select
from stylegan_core.inference.planning.steps.colour import refuse_movie_space
from stylegan_core.recipes.model import Model, load_model
from tasks.shared.locate_model import locate_model
from tasks.shared.provenance import with_origin
from tasks.shared.runner import Runner
from tasks.stylize.open_job import usage_errors
from tasks.stylize.report import ProgressCallback, StylizeReport
from tasks.stylize.work import work_on

log = logging.getLogger(__name__)


def stylize_directory(
    request: Request,
    runner: Runner,
    *,
    checksum: bool = False,
    preview: Path | Literal["auto"] | None = "auto",
    progress: ProgressCallback | None = None,
) -> StylizeReport:
    """Stylizes a folder, sequence or movie: plans, then works on the job.

    Args:
        request: what to do.
        runner: calls the chunks, see ``tasks.shared.runner``.
        checksum: hash finished frames again instead of trusting sizes and times.
        preview: path of a movie; "auto" writes one of a numbered sequence into OUTPUT/.stylereel/; None writes none.
        progress: called after every frame, from any thread.

    Raises:
        UsageError: the call is wrong and nothing was done.
        StoppedError: a full disk, a vanished mount or an interrupt; run again to finish.
    """
    plan, model = runner.run("plan", plan_request, request)
    return work_on(plan, model, runner, checksum=checksum, preview=preview, preview_fps=request.fps, progress=progress)


def plan_request(request: Request) -> tuple[Plan, Model]:
    """The plan of a request, of which nothing is written yet, and its model.

    Raises:
        UsageError: the call is wrong.
    """
    with usage_errors():
        selection = select(request)
        folder = stand_in_model(request) if request.model is None else None
        model = load_model(folder or locate_model(request.model, request.models))
        plan = plan_job(request, selection, model)
        job = plan.job
        if not request.overwrite:
            refuse_foreign_outputs(job)
            refuse_foreign_movie(job)
        refuse_movie_space(job)
    for note in selection.notes:
        log.warning("%s", note)
    return replace(plan, job=with_origin(job, model)), model
