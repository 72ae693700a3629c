"""Works on a planned job: makes its missing frames, then assembles its movie or writes a preview."""

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
from tasks.shared.errors import OutputHeldError, StoppedError, UsageError
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
    """Writes a plan and makes the unfinished frames of its job; see ``stylize_directory``.

    Args:
        plan: from ``plan_request``, or that of a job from ``open_job``, without artifacts.
        model: the job's.
        runner: calls the chunks.
        checksum: hash finished frames again.
        preview: path of a movie, "auto" or None.
        preview_fps: frames per second of the preview.
        progress: called after every frame.
        lock_wait_s: seconds to wait for other processes that hold the output folder or a chunk; None: wait without
            limit for a chunk, and not at all for another job.
        shared: whether other processes may work on the same job; always true of a distributed runner.
        chunks: only these; no preview is made then.

    Raises:
        OutputHeldError: another run holds the output folder.
        UsageError: the output folder cannot be written.
        StoppedError: see ``stylize_directory``; or other processes still work on requested chunks.
    """
    job = plan.job
    began_s = time.monotonic()
    shared = shared or runner.distributed
    with _hold_output(job, lock_wait_s or 0.0, shared=shared):
        with _stopped_errors(job):
            write_plan(plan)
            indices = range(len(job.chunks())) if chunks is None else chunks
            if runner.distributed:
                reports = run_on_cluster(job, runner, indices, checksum=checksum, progress=progress)
            else:
                progress = with_throughput_warning(progress)
                with usage_errors():
                    stylizer = Stylizer(job, model, checksum=checksum, context=origin(), progress=progress)
                reports = run_here(stylizer, runner, indices, shared=shared, wait_s=lock_wait_s)
        if chunks is not None:
            movie = None
        elif job.movie is not None:
            movie = _assemble(job, runner, reports)
        else:
            movie = _preview(job, runner, reports, preview, preview_fps)
    report = _summary(job, reports, time.monotonic() - began_s, movie)
    _log_report(report)
    return report


def _preview(
    job: Job, runner: Runner, reports: Sequence[ChunkReport], preview: Path | Literal["auto"] | None, fps: float
) -> Path | None:
    """Writes the preview, unless it exists and no frame was made; None if there is to be none."""
    movie = job.state_folder / "preview.mp4" if preview == "auto" and is_sequence(job) else preview
    if not isinstance(movie, Path):
        return None
    if movie.is_file() and not any(report.made for report in reports):
        return movie
    return runner.run("preview", write_job_preview, job, movie, fps=fps)


def _assemble(job: Job, runner: Runner, reports: Sequence[ChunkReport]) -> Path | None:
    """The job's movie; None if frames failed, since a movie without them would lose synchronization."""
    assert job.movie is not None
    if failed := sum(len(report.failed) for report in reports):
        log.error("%s is not assembled: %d frames failed, the others are kept", job.movie.path, failed)
        return None
    with usage_errors():
        assembled = runner.run("movie", assemble_job, job)
    for what in assembled.dropped:
        log.warning("%s does not contain %s", job.movie.path, what)
    return assembled.path


@contextmanager
def _hold_output(job: Job, wait_s: float, *, shared: bool) -> Iterator[None]:
    with ExitStack() as held:
        try:
            _enter_output(held, job, wait_s, job.digest if shared else None)
        except OutputBusyError as busy:
            waited = f" (it has not ended in {wait_s:.0f} s)" if wait_s else ""
            raise OutputHeldError(f"{busy}: wait for it, or choose another folder{waited}") from None
        except OSError as error:
            if stops(error):
                raise StoppedError(str(error)) from error
            raise UsageError(f"{job.output_folder} cannot be written: {error}") from error
        yield


def _enter_output(held: ExitStack, job: Job, wait_s: float, workers_of: str | None) -> None:
    try:
        held.enter_context(hold_output(job.state_folder, job=workers_of))
    except OutputBusyError as busy:
        if not wait_s:
            raise
        # Such as a scheduled run and one by hand, which stylize the same shot with the same model.
        log.info("%s: waiting for its end, for at most %.0f s", busy, wait_s)
        held.enter_context(hold_output(job.state_folder, job=workers_of, wait_s=wait_s))


@contextmanager
def _stopped_errors(job: Job) -> Iterator[None]:
    """Turns a stop inside the block into ``StoppedError``, with the number of finished frames."""
    try:
        yield
    except StylizeStopped as stop:
        raise StoppedError(f"{stop}; {_finished(job)}") from stop
    except OSError as error:
        if stops(error):
            raise StoppedError(f"{error}; {_finished(job)}") from error
        raise


def _finished(job: Job) -> str:
    try:
        remaining = len(frames_to_make(job))
    except OSError:
        return "finished frames are kept"
    return f"{len(job.frames) - remaining} of {len(job.frames)} frames are done"


def _log_report(report: StylizeReport) -> None:
    for reason, count in Counter(warning.reason for warning in report.warnings).items():
        first = next(warning.path for warning in report.warnings if warning.reason == reason)
        log.warning("%s: %s%s", first, reason, f" (and {count - 1} more like it)" if count > 1 else "")
    log.info(
        "%s: %d made, %d done before, %d failed, %.1f s (%s)",
        *(report.job.output_folder, report.made, report.skipped, len(report.failed), report.seconds),
        report.job.settings.precision,
    )


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
