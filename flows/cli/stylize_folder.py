"""The actions of ``stylereel stylize``, ``plan``, ``work`` and ``verify``, with a progress bar on a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from flows.cli.library_output import libraries_on_stderr
from flows.progress import frames_bar

if TYPE_CHECKING:
    from flows.runners.dask_runner import DaskSettings
    from stylegan_core.inference.planning.request import Request
    from tasks.stylize.report import StylizeReport


def stylize_folder(
    request: Request, *, checksum: bool, preview: bool, as_json: bool, dask: DaskSettings | None = None
) -> None:
    """Plans and works, with a progress bar.

    Raises:
        InputsFailedError: some inputs failed; all others are done.
    """
    from flows.runners.run_stage import run_stage
    from tasks.stylize.stylize import stylize_directory

    with libraries_on_stderr(), frames_bar() as watch:
        report = run_stage(
            "stylize-folder",
            lambda runner: stylize_directory(
                request,
                runner,
                checksum=checksum,
                preview="auto" if preview else None,
                progress=watch,
            ),
            dask=dask,
        )
    _print_report(report, as_json)


def plan(request: Request) -> None:
    """The first half of stylize: plan the whole shot, write the job file, print its path."""
    from stylegan_core.inference.job.plan import write_plan
    from stylegan_core.inference.output.skip_check import frames_to_make
    from tasks.stylize.stylize import plan_request

    with libraries_on_stderr():
        planned, _ = plan_request(request)
        job = planned.job
        to_make = len(frames_to_make(job))
        path = write_plan(planned)
    last = len(job.chunks()) - 1
    chunks = f"chunks 0 to {last}" if last else "chunk 0"
    typer.echo(f"{len(job.frames)} frames, {to_make} to make, {chunks}, {job.settings.precision}", err=True)
    typer.echo(str(path))


def work_only(
    job_file: Path,
    *,
    chunk: str | None = None,
    wait_s: float | None = None,
    checksum: bool,
    as_json: bool,
    dask: DaskSettings | None = None,
) -> None:
    """Makes the frames of a job file, the second half of ``stylize``.

    Raises:
        UsageError: no such chunk, or another job is at work in the output folder.
        InputsFailedError: some inputs failed; all others are done.
        StoppedError: chunks are still at work in other processes after ``wait_s``.
    """
    from flows.runners.run_stage import run_stage
    from stylegan_core.inference.job.plan import Plan
    from tasks.stylize.chunks import parse_chunks
    from tasks.stylize.open_job import open_job
    from tasks.stylize.work import work_on

    job, model = open_job(job_file)
    chunks = parse_chunks(chunk, len(job.chunks())) if chunk is not None else None
    with libraries_on_stderr(), frames_bar() as watch:
        report = run_stage(
            "work",
            lambda runner: work_on(
                Plan(job),
                model,
                runner,
                checksum=checksum,
                progress=watch,
                lock_wait_s=wait_s,
                shared=True,
                chunks=chunks,
            ),
            dask=dask,
        )
    _print_report(report, as_json)


def verify_output(output: Path, *, as_json: bool) -> None:
    """Checks every frame of an output folder against its record.

    Raises:
        InputsFailedError: frames are missing or differ from what was written.
        UsageError: the folder has no records.
    """
    from stylegan_core.inference.delivery.verify import NoRecordsError, verify
    from tasks.shared.errors import InputsFailedError, UsageError

    try:
        verdict = verify(output)
    except NoRecordsError as error:
        raise UsageError(str(error)) from error
    if as_json:
        typer.echo(json.dumps(verdict.as_dict(), indent=1))
    else:
        for name in verdict.foreign:
            typer.echo(f"{name}: was not written by stylereel", err=True)
        for name in verdict.temporaries:
            typer.echo(f"{name}: is an unfinished temporary file", err=True)
    if wrong := verdict.wrong:
        total = len(verdict.whole) + len(wrong)
        raise InputsFailedError(
            f"{len(wrong)} of {total} frames are missing or differ from their records: "
            "run stylize with --checksum to repair them:\n"
            + "\n".join(f"{failure.path}: {failure.reason}" for failure in wrong)
        )
    if not as_json:
        typer.echo(f"{len(verdict.whole)} of {len(verdict.whole)} frames are as they were written")


def _print_report(report: StylizeReport, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=1))
    else:
        typer.echo(
            f"{report.made} made, {report.skipped} done before, {len(report.failed)} failed: {report.job.output_folder}"
        )
        if report.preview:
            typer.echo(f"{'movie' if report.job.movie else 'preview'}: {report.preview}")
    report.raise_if_failed()
