"""Makes the frames of a planned job that are not done, then its movie or preview."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

import torch

from stylegan_core.inference.delivery.movie import assemble_job
from stylegan_core.inference.delivery.preview import is_sequence, write_job_preview
from stylegan_core.inference.job.plan import Plan, write_plan
from stylegan_core.inference.job.report import ChunkReport
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.output.lock import OutputBusyError, hold_output
from stylegan_core.inference.output.skip_check import frames_to_make
from stylegan_core.inference.pipeline.frame_outcomes import StylizeStopped
from stylegan_core.inference.pipeline.stylizer import Stylizer
from stylegan_core.recipes.model import Model
from stylegan_core.storage.stop_errors import stops
from stylegan_core.stylize_settings import FRAMES_PER_S
from tasks.shared.errors import StoppedError, UsageError
from tasks.shared.origin import origin
from tasks.shared.runner import Runner
from tasks.stylize.chunks import run_here, run_on_cluster
from tasks.stylize.open_job import usage_errors
from tasks.stylize.report import ProgressCallback, StylizeReport
from tasks.stylize.throughput import with_throughput_warning

log = logging.getLogger(__name__)


def work_on(
    plan: Plan,
    model: Model,
    runner: Runner,
    *,
    checksum: bool = False,
    preview: Path | Literal["auto"] | None = "auto",
    preview_fps: float = FRAMES_PER_S,
    progress: ProgressCallback | None = None,
    lock_wait_s: float | None = 0.0,
    shared: bool = False,
    chunks: Sequence[int] | None = None,
) -> StylizeReport:
    """Writes a plan and makes the frames of its job that are not done; see ``stylize_directory``.

    Args:
        plan: from ``plan_request``, or that of a job from ``open_job``, without artifacts.
        model: the job's.
        runner: calls the chunks.
        checksum: hash finished frames again.
        preview: path of a movie, "auto" or None.
        preview_fps: its frames a second.
        progress: called after every frame.
        lock_wait_s: how long to wait for others on the same output folder, or at a chunk; None: as long as it takes
            for a chunk, and not at all for another job.
        shared: whether other processes may work on the same job meanwhile, as a distributed runner's always do.
        chunks: only these; then no preview is made.

    Raises:
        UsageError: another run holds the output folder, or it cannot be written.
        StoppedError: see ``stylize_directory``; or other processes are still at chunks that were asked for.
    """
    job = plan.job
    began_s = time.monotonic()
    shared = shared or runner.distributed
    with _held_output(job, lock_wait_s or 0.0, shared=shared):
        try:
            write_plan(plan)
            progress = progress if runner.distributed else with_throughput_warning(progress)
            asked = range(len(job.chunks())) if chunks is None else chunks
            if runner.distributed:
                reports = run_on_cluster(job, runner, asked, checksum=checksum, progress=progress)
            else:
                with usage_errors():
                    stylizer = Stylizer(job, model, checksum=checksum, context=origin(), progress=progress)
                reports = run_here(stylizer, runner, asked, shared=shared, wait_s=lock_wait_s)
        except StylizeStopped as stop:
            raise StoppedError(f"{stop}; {_left(job)}") from stop
        except OSError as error:
            if stops(error):
                raise StoppedError(f"{error}; {_left(job)}") from error
            raise
        preview = None if chunks is not None or job.movie is not None else preview
        movie = job.state_folder / "preview.mp4" if preview == "auto" and is_sequence(job) else preview
        if isinstance(movie, Path) and (any(r.made for r in reports) or not movie.is_file()):
            shown = runner.run("preview", write_job_preview, job, movie, fps=preview_fps)
        else:
            shown = movie if isinstance(movie, Path) else None
        if job.movie is not None and chunks is None:
            shown = _assembled(job, runner, reports)
    report = _summary(job, reports, time.monotonic() - began_s, shown)
    for reason, count in Counter(warning.reason for warning in report.warnings).items():
        first = next(warning.path for warning in report.warnings if warning.reason == reason)
        log.warning("%s: %s%s", first, reason, f" (and {count - 1} more like it)" if count > 1 else "")
    log.info(
        "%s: %d made, %d done before, %d failed, %.1f s (%s)",
        job.output_folder,
        report.made,
        report.skipped,
        len(report.failed),
        report.seconds,
        job.settings.precision,
    )
    return report


def _assembled(job: Job, runner: Runner, reports: Sequence[ChunkReport]) -> Path | None:
    """The job's movie; None while frames are missing, since a movie without them would be out of step."""
    assert job.movie is not None
    if failed := sum(len(report.failed) for report in reports):
        log.error("%s is not put together: %d frames failed, the others are kept", job.movie.path, failed)
        return None
    with usage_errors():
        assembled = runner.run("movie", assemble_job, job)
    for what in assembled.left:
        log.warning("%s leaves out %s", job.movie.path, what)
    return assembled.path


@contextmanager
def _held_output(job: Job, wait_s: float, *, shared: bool) -> Iterator[None]:
    with ExitStack() as held:
        try:
            held.enter_context(hold_output(job.state_folder, job=job.digest if shared else None, wait_s=wait_s))
        except OutputBusyError as busy:
            raise UsageError(f"{busy}: wait for it, or choose another folder") from None
        except OSError as error:
            if stops(error):
                raise StoppedError(str(error)) from error
            raise UsageError(f"{job.output_folder} cannot be written: {error}") from error
        yield


def _left(job: Job) -> str:
    try:
        left = len(frames_to_make(job))
    except OSError:
        return "finished frames are kept"
    return f"{len(job.frames) - left} of {len(job.frames)} frames are done"


def _summary(job: Job, reports: list[ChunkReport], seconds: float, preview: Path | None) -> StylizeReport:
    return StylizeReport(
        job=job,
        made=sum(len(report.made) for report in reports),
        skipped=sum(report.skipped for report in reports),
        failed=tuple(failure for report in reports for failure in report.failed),
        warnings=tuple(warning for report in reports for warning in report.warnings),
        seconds=seconds,
        threads=torch.get_num_threads(),
        preview=preview,
    )
