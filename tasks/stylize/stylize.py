"""The task stylize: a folder in, a folder out; plan, work through the chunks, report."""

from __future__ import annotations

import errno
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from stylegan_core.inference.delivery.movie import assemble_job, refuse_foreign_movie
from stylegan_core.inference.delivery.preview import is_sequence, write_job_preview
from stylegan_core.inference.job.plan import Plan, write_plan
from stylegan_core.inference.job.report import ChunkReport, Failure, Progress
from stylegan_core.inference.job.spec import Job, PlanError, read_job
from stylegan_core.inference.job.summary import summarize
from stylegan_core.inference.output.file_state import frames_to_make
from stylegan_core.inference.output.lock import OutputBusyError, hold_output
from stylegan_core.inference.pipeline.stylizer import Stylizer, StylizeStopped
from stylegan_core.inference.planning.conditioning_request import plan_request_job
from stylegan_core.inference.planning.planner import refuse_foreign_outputs
from stylegan_core.inference.planning.request import Request
from stylegan_core.inference.planning.selection.select import select
from stylegan_core.inference.planning.steps.colour import refuse_movie_space
from stylegan_core.recipes.model import Model, ModelError, load_model
from stylegan_core.settings import SettingsError
from tasks.shared.errors import InputsFailedError, StoppedError, UsageError
from tasks.shared.locate_model import locate_model
from tasks.shared.origin import origin
from tasks.shared.provenance import with_origin
from tasks.stylize.chunks import run_here, run_on_cluster

log = logging.getLogger(__name__)

_STOPS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE)

Result = TypeVar("Result")
Item = TypeVar("Item")
ProgressCallback = Callable[[Progress], None]


class Runner(Protocol):
    """How tasks are called, see ``flows.runner``."""

    distributed: bool

    def run(self, name: str, function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Result:
        """Calls ``function`` as the task ``name``."""
        ...

    def map(self, name: str, function: Callable[[Item], Result], items: Iterable[Item], /) -> list[Result]:
        """Calls ``function`` for each item, in threads or in other processes."""
        ...


@dataclass(frozen=True)
class StylizeReport:
    """What became of a job.

    Attributes:
        job: that was worked on.
        made: outputs that were written now.
        skipped: frames that were done before.
        failed: inputs without an output, each with its reason.
        warnings: what a user should hear about inputs that have one.
        seconds: that it took, without planning.
        preview: the movie, or None.
    """

    job: Job
    made: int
    skipped: int
    failed: tuple[Failure, ...]
    warnings: tuple[Failure, ...]
    seconds: float
    preview: Path | None = None

    @property
    def exit_code(self) -> int:
        """0 if everything is done, 1 if some inputs failed."""
        return 1 if self.failed else 0

    def failures(self) -> str:
        """Every failed input and its reason, a line each."""
        return "\n".join(f"{failure.path}: {failure.reason}" for failure in self.failed)

    def raise_if_failed(self) -> None:
        """Ends a call whose inputs are not all done.

        Raises:
            InputsFailedError: names every failed input.
        """
        if self.failed:
            total = len(self.job.frames)
            raise InputsFailedError(
                f"{len(self.failed)} of {total} inputs failed, all others are done:\n{self.failures()}"
            )

    def as_dict(self) -> dict[str, object]:
        """Plain values, for JSON."""
        return {
            "output": str(self.job.output_folder),
            "model": self.job.model_digest,
            "job": self.job.digest,
            "precision": self.job.settings.precision,
            "asked": summarize(self.job),
            "frames": len(self.job.frames),
            "made": self.made,
            "skipped": self.skipped,
            "failed": [{"path": str(f.path), "reason": f.reason} for f in self.failed],
            "warnings": [{"path": str(f.path), "warning": f.reason} for f in self.warnings],
            "seconds": round(self.seconds, 3),
            "preview": str(self.preview) if self.preview else None,
        }


def stylize_directory(
    request: Request,
    runner: Runner,
    *,
    checksum: bool = False,
    preview: Path | Literal["auto"] | None = "auto",
    preview_fps: float = 24.0,
    progress: ProgressCallback | None = None,
) -> StylizeReport:
    """Stylizes a folder: plan, then work.

    Args:
        request: what to do.
        runner: calls the chunks, see ``flows.runner``.
        checksum: hash finished frames again instead of trusting sizes and times.
        preview: path of a movie; "auto" makes one of a numbered sequence, in OUTPUT/.stylereel/; None makes none.
        preview_fps: its frames a second.
        progress: called after every frame, from any thread.

    Raises:
        UsageError: the call is wrong and nothing was done.
        StoppedError: a full disk, a vanished mount or an interrupt; run again to finish.
    """
    plan, model = runner.run("plan", plan_request, request)
    return work_on(plan, model, runner, checksum=checksum, preview=preview, preview_fps=preview_fps, progress=progress)


def plan_request(request: Request) -> tuple[Plan, Model]:
    """The plan of a request, of which nothing is written yet, and its model.

    Raises:
        UsageError: the call is wrong.
    """
    with usage_errors():
        selection = select(
            request.source,
            request.output,
            frames=request.frames,
            every=request.every,
            limit=request.limit,
            masks=request.masks,
            missing=request.missing,
            missing_mask=request.missing_mask,
            pick=request.pick,
            codec=request.codec,
            quality=request.quality,
            fps=request.fps,
        )
        wishes = request.wishes()
        folder_of_model = wishes.stand_in_model() if request.model is None else None
        model = load_model(folder_of_model or locate_model(request.model, request.models))
        plan = plan_request_job(
            selection.frames,
            wishes,
            input_folder=selection.input_folder,
            output_folder=selection.output_folder,
            model=model,
            render=request.render,
            source_space=request.source_space,
            chunk_frames=request.chunk_frames,
            device=request.device,
        )
        job = plan.job.model_copy(update={"movie": selection.movie})
        if not request.overwrite:
            refuse_foreign_outputs(job)
            refuse_foreign_movie(job)
        refuse_movie_space(job)
    for note in selection.notes:
        log.warning("%s", note)
    return replace(plan, job=with_origin(job, model)), model


def open_job(file: Path) -> tuple[Job, Model]:
    """A job that was planned before and its model, for ``stylereel work``.

    Raises:
        UsageError: the file is no job, or the model is not the one that it was planned for.
    """
    with usage_errors():
        job = read_job(file)
        model = load_model(job.model_folder)
        if model.card.digest != job.model_digest:
            raise PlanError(f"{job.model_folder} was trained again since {file} was planned: plan again")
    return job, model


def work_on(
    plan: Plan,
    model: Model,
    runner: Runner,
    *,
    checksum: bool = False,
    preview: Path | Literal["auto"] | None = "auto",
    preview_fps: float = 24.0,
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
            if error.errno in _STOPS:
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
            if error.errno in _STOPS:
                raise StoppedError(str(error)) from error
            raise UsageError(f"{job.output_folder} cannot be written: {error}") from error
        yield


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turns what a planner refuses within into ``UsageError``, in its words."""
    try:
        yield
    except (PlanError, ModelError, SettingsError) as error:
        raise UsageError(str(error)) from error


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
        preview=preview,
    )


__all__ = ["Request", "StylizeReport", "frames_to_make", "open_job", "plan_request", "stylize_directory", "work_on"]
