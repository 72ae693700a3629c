"""``stylereel stylize --dry-run`` and ``--look-dev``: what a call would do, as text, as JSON or on a contact sheet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from flows.cli.library_output import libraries_on_stderr
from flows.progress import frames_bar

if TYPE_CHECKING:
    from stylegan_core.inference.planning.request import Request
    from tasks.stylize.dry_run import DryRunSummary


def dry_run(request: Request, *, as_json: bool) -> None:
    """Prints what a call would do; writes nothing."""
    from dataclasses import asdict

    from tasks.stylize import dry_run as task

    with libraries_on_stderr():
        summary = task.dry_run(request).summary()
    typer.echo(json.dumps(asdict(summary), indent=1) if as_json else "\n".join(_lines(summary)))


def look_dev(request: Request, *, frames: int, as_json: bool = False) -> None:
    """Makes a contact sheet of a few frames and prints its path."""
    from flows.runners.run_stage import run_stage
    from tasks.stylize.dry_run import look_dev, sheet_path

    with libraries_on_stderr(), frames_bar() as watch:
        sheet = run_stage(
            "look-dev",
            lambda runner: look_dev(request, runner, sheet_path(request.output), frames=frames, progress=watch),
        )
    typer.echo(json.dumps({"sheet": str(sheet)}) if as_json else str(sheet))


def _lines(summary: DryRunSummary) -> list[str]:
    done = f", {summary.done} are up to date" if summary.done else ""
    numbers = summary.numbers or f"{summary.frames} frames"
    names = f": {summary.first} to {summary.last}" if summary.first else ""
    chunks = "one chunk" if summary.chunks == 1 else f"{summary.chunks} chunks"
    lines = [
        ("input", f"{summary.input}, {numbers}"),
        ("output", f"{summary.output}{names}"),
        ("to make", f"{summary.to_make} of {summary.frames}{done}, in {chunks}"),
        ("model", f"{summary.model}, {summary.recipe}, {summary.digest[:16]}"),
        ("settings", ", ".join(f"{name} {value}" for name, value in summary.asked.items())),
        ("runs on", f"{summary.back_end}, {summary.precision}, {summary.device}"),
        ("colour", _colour(summary)),
    ]
    if summary.shots > 1:
        lines.append(("shots", str(summary.shots)))
    if summary.held_or_black:
        lines.insert(1, ("missing", f"{summary.held_or_black} of them, made of their neighbours"))
    if summary.blend_frames:
        lines.append(("smoothed", f"over {2 * summary.blend_frames + 1} frames"))
    if summary.signed:
        lines.append(("signed", "with C2PA"))
    if summary.seconds:
        minutes, seconds = divmod(summary.seconds, 60)
        lines.append(
            ("takes", f"about {minutes} min {seconds} s, at {summary.frames_per_s:g} frames/s of the last run")
        )
    return [f"{name:<9}{value}" for name, value in [*lines, ("", "dry run: nothing was written")]]


def _colour(summary: DryRunSummary) -> str:
    read = "as each file says" if summary.source_space == "auto" else f"read as {summary.source_space}"
    written = "kept" if summary.output_space == "source" else f"written as {summary.output_space}"
    return f"{read}, changed in {summary.working_space}, {written}"
