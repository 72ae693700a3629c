"""What ``stylereel stylize``, ``plan``, ``work`` and ``verify`` do, with a progress bar on a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from stylegan_core.inference.outcome import Progress
    from tasks.stylize import Request, StylizeReport


def stylize_folder(asked: Request, *, checksum: bool, preview: bool, fps: float, as_json: bool) -> None:
    """Plans and works, with a progress bar.

    Raises:
        InputsFailedError: some inputs failed; all others are done.
    """
    from flows.runner import run_stage
    from tasks.stylize import stylize_directory

    with _progress() as watch:
        report = run_stage(
            "stylize-folder",
            lambda runner: stylize_directory(
                asked,
                runner,
                checksum=checksum,
                preview="auto" if preview else None,
                preview_fps=fps,
                progress=watch,
            ),
        )
    _tell(report, as_json)


def plan_only(asked: Request) -> None:
    """Writes the job file and prints its path, the first half of ``stylize``."""
    from stylegan_core.inference.job import write_job
    from tasks.stylize import frames_to_make, plan_request

    job, _ = plan_request(asked)
    to_make = len(frames_to_make(job))
    path = write_job(job)
    typer.echo(
        f"{len(job.frames)} frames, {to_make} to make, {len(job.chunks())} chunks, {job.settings.precision}", err=True
    )
    typer.echo(str(path))


def work_only(job_file: Path, *, checksum: bool, as_json: bool) -> None:
    """Makes the frames of a job file, the second half of ``stylize``."""
    from flows.runner import run_stage
    from tasks.stylize import open_job, work_on

    job, model = open_job(job_file)
    with _progress() as watch:
        report = run_stage("work", lambda runner: work_on(job, model, runner, checksum=checksum, progress=watch))
    _tell(report, as_json)


def verify_output(output: Path) -> None:
    """Checks every frame of an output folder against its record.

    Raises:
        InputsFailedError: frames are missing or differ from what was written.
        UsageError: the folder has no records.
    """
    from stylegan_core.frames.records import read_records, sha256_of
    from tasks.errors import InputsFailedError, UsageError

    newest: dict[str, dict[str, Any]] = {record["frame"]: record for record in read_records(output)}
    if not newest:
        raise UsageError(f"{output} has no records of stylereel: name an OUTPUT folder of `stylereel stylize`")
    wrong = []
    for name, record in sorted(newest.items()):
        path = output / name
        if not path.is_file():
            wrong.append(f"{path}: missing")
        elif sha256_of(path) != record["made"][2]:
            wrong.append(f"{path}: differs from what was written")
    if wrong:
        raise InputsFailedError(
            f"{len(wrong)} of {len(newest)} frames are wrong; stylize again with --checksum to mend them:\n"
            + "\n".join(wrong)
        )
    typer.echo(f"{len(newest)} frames are as they were written")


def _tell(report: StylizeReport, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=1))
    else:
        typer.echo(
            f"{report.made} made, {report.skipped} done before, {len(report.failed)} failed: {report.job.output_folder}"
        )
        if report.preview:
            typer.echo(f"preview: {report.preview}")
    report.raise_if_failed()


def _progress() -> AbstractContextManager[Callable[[Progress], None] | None]:
    """A progress bar on a terminal, nothing elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    return _bar(console) if console.is_terminal else nullcontext(None)


def _bar(console: Any) -> AbstractContextManager[Callable[[Progress], None]]:
    from contextlib import contextmanager

    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    @contextmanager
    def shown() -> Any:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Bar(*columns, console=console) as bar:
            task = bar.add_task("stylize", total=None)

            def watch(progress: Progress) -> None:
                bar.update(task, total=progress.total, completed=progress.done)

            yield watch

    return shown()
