"""Dry run: plans a call of stylize without executing it. Look-dev: a contact sheet of a few of its frames."""

from __future__ import annotations

import json
import logging
import tempfile
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from stylegan_core.frames.sequences.frame_range import describe_gaps
from stylegan_core.inference.delivery.contact_sheet import write_contact_sheet
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.job.summary import summarize
from stylegan_core.inference.output.skip_check import frames_to_make
from stylegan_core.inference.planning.request import Request
from stylegan_core.inference.planning.selection.output_names import OutputNames
from stylegan_core.recipes.model import Model
from tasks.shared.errors import InputsFailedError
from tasks.shared.runner import Runner
from tasks.stylize.open_job import usage_errors
from tasks.stylize.report import ProgressCallback
from tasks.stylize.stylize import plan_request
from tasks.stylize.work import work_on

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DryRunSummary:
    """Everything that a dry run reports; the fields are the keys of its JSON.

    Attributes:
        input: the input folder, or the movie.
        output: the output folder, or the movie.
        frames: of the job.
        numbers: their range and gaps; None if they have no unique numbers.
        held_or_black: frames in place of missing ones.
        done: frames that are up to date.
        to_make: frames that are not.
        first: name of the first output; None for a movie.
        last: name of the last output; None for a movie.
        model: its folder.
        digest: of the model.
        recipe: of the model.
        asked: strength, conditioning and regions, see ``summarize``.
        back_end: that runs the network.
        precision: of the convolutions.
        device: that runs the network.
        source_space: of the inputs.
        working_space: of the model.
        output_space: of the outputs.
        shots: of the job.
        blend_frames: neighbours to each side for temporal smoothing.
        chunks: of the job.
        signed: whether outputs are signed.
        frames_per_s: of the last run into this folder; None if there was none.
        seconds: expected; None if there was no earlier run.
    """

    input: str
    output: str
    frames: int
    numbers: str | None
    held_or_black: int
    done: int
    to_make: int
    first: str | None
    last: str | None
    model: str
    digest: str
    recipe: str
    asked: dict[str, str]
    back_end: str
    precision: str
    device: str
    source_space: str
    working_space: str
    output_space: str
    shots: int
    blend_frames: int
    chunks: int
    signed: bool
    frames_per_s: float | None
    seconds: int | None


@dataclass(frozen=True)
class DryRun:
    """A planned call that is not executed.

    Attributes:
        job: as it was planned.
        model: the job's.
        to_make: outputs that are not up to date.
        frames_per_s: rate of the last run into this folder; None if there was none.
    """

    job: Job
    model: Model
    to_make: tuple[str, ...]
    frames_per_s: float | None

    def summary(self) -> DryRunSummary:
        """What the dry run reports."""
        job, settings = self.job, self.job.settings
        numbers = [frame.number for frame in job.frames if frame.number is not None and not frame.missing]
        first, last = job.frames[0], job.frames[-1]
        return DryRunSummary(
            input=str(job.input_path(first) if first.index is not None else job.input_folder),
            output=str(job.movie.path if job.movie is not None else job.output_folder),
            frames=len(job.frames),
            numbers=describe_gaps(numbers) if numbers and len(numbers) == len(set(numbers)) else None,
            held_or_black=sum(frame.missing is not None for frame in job.frames),
            done=len(job.frames) - len(self.to_make),
            to_make=len(self.to_make),
            first=first.output if job.movie is None else None,
            last=last.output if job.movie is None else None,
            model=str(job.model_folder),
            digest=job.model_digest,
            recipe=self.model.card.recipe,
            asked=summarize(job),
            back_end=settings.back_end,
            precision=settings.precision,
            device=job.device,
            source_space=settings.source_space,
            working_space=settings.working_space,
            output_space=settings.output_space,
            shots=1 + max(frame.shot for frame in job.frames),
            blend_frames=settings.blend_frames,
            chunks=len(job.chunks()),
            signed=job.signing is not None,
            frames_per_s=self.frames_per_s and round(self.frames_per_s, 3),
            seconds=round(len(self.to_make) / self.frames_per_s) if self.frames_per_s else None,
        )


def dry_run(request: Request) -> DryRun:
    """Plans a call and writes nothing.

    Raises:
        UsageError: the call is wrong.
    """
    plan, model = plan_request(request)
    return DryRun(plan.job, model, tuple(frames_to_make(plan.job)), _rate(plan.job))


def look_dev(
    request: Request, runner: Runner, sheet: Path, *, frames: int, progress: ProgressCallback | None = None
) -> Path:
    """Writes a contact sheet of a few frames of a call, before and after; its output folder is not touched.

    Args:
        request: of the call.
        runner: calls the chunks.
        sheet: ends in .png or .jpg.
        frames: how many, evenly spread.
        progress: called after every frame.

    Returns:
        ``sheet``.

    Raises:
        UsageError: the call is wrong.
        InputsFailedError: no frame could be made.
        StoppedError: an interrupt.
    """
    names = _names(request.output)
    with tempfile.TemporaryDirectory(prefix="stylereel-look-") as folder:
        scratch = Path(folder, "out")
        output = scratch if names.pattern is None else str(replace(names.pattern, folder=scratch))
        plan, model = plan_request(replace(request, output=output, pick=frames))
        report = work_on(plan, model, runner, preview=None, progress=progress)
        job = plan.job
        made = [frame for frame in job.frames if job.output_path(frame).is_file()]
        if not made:
            raise InputsFailedError(f"no frame could be made:\n{report.failures()}")
        write_contact_sheet(job, made, sheet)
    for failure in report.failed:
        log.warning("%s: %s", failure.path, failure.reason)
    return sheet


def _names(output: str | Path) -> OutputNames:
    with usage_errors():
        return OutputNames.of(output)


def sheet_path(output: str | Path) -> Path:
    """Path of the contact sheet of a call: OUTPUT if that is a picture, else next to it."""
    names = _names(output)
    if names.picture is not None:
        return Path(output)
    folder = names.folder.absolute()
    return folder.with_name(f"{folder.name}-look.png")


def _rate(job: Job) -> float | None:
    """Frames a second of the last run that made some, from its log."""
    for path in sorted(job.state_folder.glob("log-*.jsonl"), key=lambda path: path.stat().st_mtime_ns, reverse=True):
        lines = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}"))
        times = [datetime.fromisoformat(line["time"]) for line in lines if line["status"] == "made"]
        if len(times) > 1 and (spent_s := (max(times) - min(times)).total_seconds()) > 0:
            return (len(times) - 1) / spent_s
    return None
