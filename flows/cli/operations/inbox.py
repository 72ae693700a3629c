"""The command ``inbox``: watches a hot folder."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.library_output import libraries_on_stderr
from flows.cli.project import project_folder

EXAMPLES = """
stylereel inbox ~/inbox     (~/inbox/last/sh010 becomes ~/done/last/sh010)
stylereel inbox /mnt/film/inbox --output /mnt/film/painted --settle-s 120
stylereel inbox ~/inbox --once     (one look, for cron)
"""


def inbox(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Holds MODEL/SHOT: folders of frames, or movies.")],
    output: Annotated[
        Path | None, typer.Option(help="Gets MODEL/SHOT and the markers. Default: the folder done next to FOLDER.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once and end, for cron.")] = False,
    settle_s: Annotated[
        float,
        typer.Option(min=2, help="Seconds between two looks that must see the same files before a shot is processed."),
    ] = 60.0,
    every_s: Annotated[float, typer.Option(min=0.1, help="Seconds from one look to the next.")] = 10.0,
) -> None:
    """Stylize each shot that arrives in a folder once, when it has stopped growing.

    The folder of a shot names its model: one in models/, `last`, `promoted`, or the last part of a registered model's
    name. SHOT.done.txt or SHOT.failed.txt appears next to the result. A shot that changes is processed again; so is a
    failed one whose SHOT.failed.txt is deleted. Ctrl+C ends it after the frames that are being written.
    """
    from flows.inbox import look_once, open_inbox, watch
    from flows.runners.run_stage import run_stage

    project_folder()
    with libraries_on_stderr(), _interrupted_by_sigterm():
        opened = open_inbox(folder, output, settle_s=settle_s, run=run_stage)
        if not once:
            watch(opened, every_s)
        look = look_once(opened)
    typer.echo(f"{len(look.finished)} shots finished, {look.waiting} waiting: {opened.output}")


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Between shots SIGTERM interrupts as Ctrl+C does; while frames are made, stylize itself handles both."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
