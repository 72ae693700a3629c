"""``stylereel stylize --dry-run`` and ``--look-dev``: what a call would do, in words or on a sheet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

from flows.cli.library_output import libraries_on_stderr
from flows.progress import frames_bar

if TYPE_CHECKING:
    from stylegan_core.inference.planning.request import Request


def dry_run(asked: Request, *, as_json: bool) -> None:
    """Says what a call would do, and does nothing."""
    from tasks.stylize import dry_run as task

    with libraries_on_stderr():
        found = task.dry_run(asked).as_dict()
    typer.echo(json.dumps(found, indent=1) if as_json else "\n".join(_told(found)))


def look_dev(asked: Request, *, frames: int, as_json: bool = False) -> None:
    """Makes a sheet of a few frames and prints its path."""
    from flows.runners.run_stage import run_stage
    from tasks.stylize.dry_run import look_dev, sheet_beside

    with libraries_on_stderr(), frames_bar() as watch:
        sheet = run_stage(
            "look-dev",
            lambda runner: look_dev(asked, runner, sheet_beside(asked.output), frames=frames, progress=watch),
        )
    typer.echo(json.dumps({"sheet": str(sheet)}) if as_json else str(sheet))


def _told(found: dict[str, Any]) -> list[str]:
    done = f", {found['done']} of them done" if found["done"] else ""
    numbered = f", {found['numbers']}" if found["numbers"] else f", {found['frames']} frames"
    chunks = "one chunk" if found["chunks"] == 1 else f"{found['chunks']} chunks"
    lines = [
        ("input", f"{found['input']}{numbered}"),
        ("output", found["output"] + (f": {found['first']} to {found['last']}" if found["first"] else "")),
        ("to make", f"{found['to_make']} of {found['frames']}{done}, in {chunks}"),
        ("model", f"{found['model']}, {found['recipe']}, {found['digest'][:16]}"),
        ("asked", ", ".join(f"{what} {words}" for what, words in found["asked"].items())),
        ("runs on", f"{found['back_end']}, {found['precision']}, {found['device']}"),
        ("colour", _colour(found["source_space"], found["working_space"], found["output_space"])),
    ]
    if found["shots"] > 1:
        lines.append(("shots", str(found["shots"])))
    if found["held_or_black"]:
        lines.insert(1, ("missing", f"{found['held_or_black']} of them, made of their neighbours"))
    if found["blend_frames"]:
        lines.append(("steadied", f"over {2 * found['blend_frames'] + 1} frames"))
    if found["signed"]:
        lines.append(("signed", "with C2PA"))
    if found["seconds"]:
        minutes, seconds = divmod(found["seconds"], 60)
        lines.append(("takes", f"about {minutes} min {seconds} s, at {found['frames_per_s']:g} frames/s as last time"))
    return [f"{what:<9}{words}" for what, words in [*lines, ("", "nothing was done: a dry run")]]


def _colour(source: str, working: str, output: str) -> str:
    read = "as each file says" if source == "auto" else f"read as {source}"
    return f"{read}, changed in {working}, {'kept' if output == 'source' else f'written as {output}'}"
