"""A call of stylize without its effects: what it would do, told; and a few of its frames, shown on one sheet."""

from __future__ import annotations

import json
import logging
import tempfile
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

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
class DryRun:
    """What a call would do.

    Attributes:
        job: as it was planned.
        model: the job's.
        to_make: outputs that are not done.
        frames_per_s: at which the last run into this folder made frames; None if there was none.
    """

    job: Job
    model: Model
    to_make: tuple[str, ...]
    frames_per_s: float | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        job, settings = self.job, self.job.settings
        numbers = [frame.number for frame in job.frames if frame.number is not None and not frame.missing]
        return {
            "input": str(job.input_path(job.frames[0]) if job.frames[0].index is not None else job.input_folder),
            "output": str(job.movie.path if job.movie is not None else job.output_folder),
            "frames": len(job.frames),
            "numbers": describe_gaps(numbers) if numbers and len(numbers) == len(set(numbers)) else None,
            "held_or_black": sum(frame.missing is not None for frame in job.frames),
            "done": len(job.frames) - len(self.to_make),
            "to_make": len(self.to_make),
            "first": job.frames[0].output if job.movie is None else None,
            "last": job.frames[-1].output if job.movie is None else None,
            "model": str(job.model_folder),
            "digest": job.model_digest,
            "recipe": self.model.card.recipe,
            "asked": summarize(job),
            "back_end": settings.back_end,
            "precision": settings.precision,
            "device": job.device,
            "source_space": settings.source_space,
            "working_space": settings.working_space,
            "output_space": settings.output_space,
            "shots": 1 + max(frame.shot for frame in job.frames),
            "blend_frames": settings.blend_frames,
            "chunks": len(job.chunks()),
            "signed": job.signing is not None,
            "frames_per_s": self.frames_per_s and round(self.frames_per_s, 3),
            "seconds": round(len(self.to_make) / self.frames_per_s) if self.frames_per_s else None,
        }


def dry_run(request: Request) -> DryRun:
    """Plans a call and changes nothing.

    Raises:
        UsageError: the call is wrong.
    """
    plan, model = plan_request(request)
    return DryRun(plan.job, model, tuple(frames_to_make(plan.job)), _rate(plan.job))


def look_dev(
    request: Request, runner: Runner, sheet: Path, *, frames: int, progress: ProgressCallback | None = None
) -> Path:
    """Shows a few frames of a call, before and after, and leaves its output folder alone.

    Args:
        request: what is asked for.
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
        place = Path(folder, "out")
        output = place if names.pattern is None else str(replace(names.pattern, folder=place))
        plan, model = plan_request(replace(request, output=output, pick=frames))
        report = work_on(plan, model, runner, preview=None, progress=progress)
        job = plan.job
        there = [frame for frame in job.frames if job.output_path(frame).is_file()]
        if not there:
            raise InputsFailedError(f"no frame could be made:\n{report.failures()}")
        write_contact_sheet(job, there, sheet)
    for failure in report.failed:
        log.warning("%s: %s", failure.path, failure.reason)
    return sheet


def _names(output: str | Path) -> OutputNames:
    with usage_errors():
        return OutputNames.of(output)


def sheet_beside(output: str | Path) -> Path:
    """Where the sheet of a call goes: OUTPUT if that is a picture, else beside it."""
    names = _names(output)
    if names.picture is not None:
        return Path(output)
    folder = names.folder.absolute()
    return folder.with_name(f"{folder.name}-look.png")


def _rate(job: Job) -> float | None:
    """Frames a second of the last run that made some, by its log."""
    for path in sorted(job.state_folder.glob("log-*.jsonl"), key=lambda path: path.stat().st_mtime_ns, reverse=True):
        lines = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}"))
        times = [datetime.fromisoformat(line["time"]) for line in lines if line["status"] == "made"]
        if len(times) > 1 and (spent_s := (max(times) - min(times)).total_seconds()) > 0:
            return (len(times) - 1) / spent_s
    return None
