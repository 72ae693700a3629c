"""The command ``schedule``: when the pipeline of this project runs by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.project import project_folder

if TYPE_CHECKING:
    from flows.services.cron import Cron

_EXAMPLES = """
stylereel schedule "0 2 * * *" --timezone Europe/Berlin
stylereel schedule "30 19 * * mon-fri"
stylereel schedule
stylereel schedule off
"""


def register(command: Callable[..., Callable[[Callable[..., object]], object]]) -> None:
    """Registers the command with the decorator of the command line."""
    command("schedule", _EXAMPLES)(schedule)


def schedule(
    cron: Annotated[
        str, typer.Argument(metavar="[CRON|off]", help="Minute, hour, day, month, weekday; or off. Default: show it.")
    ] = "",
    timezone: Annotated[str, typer.Option(help="IANA name of the schedule's time zone.")] = "UTC",
) -> None:
    """Run the pipeline of this project by a schedule, which replaces the former one; show it, or remove it.

    Creates or updates the project's deployments NAME-nightly and NAME-stylize, with the parameters of prefect.yaml.
    """
    root = project_folder()
    if not cron:
        _show(root)
    elif cron == "off":
        _remove(root)
    else:
        from flows.services.cron import Cron

        _replace(root, Cron(cron, timezone))


def _replace(root: Path, cron: Cron) -> None:
    from flows.services.deployments import NIGHTLY, deploy
    from flows.services.prefect_api import find_api
    from tasks.shared.project_identity import read_identity

    times = cron.next_times()
    for note in deploy(find_api(), root, cron):
        typer.echo(f"note: {note}")
    typer.echo(f"{NIGHTLY.flow}/{NIGHTLY.name(read_identity(root))} runs at {cron.text} ({cron.timezone}) in {root}")
    for time in times:
        typer.echo(f"  next: {time:%a %Y-%m-%d %H:%M} {cron.timezone}")


def _remove(root: Path) -> None:
    from flows.services.deployments import remove_schedule
    from flows.services.prefect_api import find_api

    removed = remove_schedule(find_api(), root)
    typer.echo("The schedule is removed; the deployments stay." if removed else "There was no schedule.")


def _show(root: Path) -> None:
    from flows.services.deployments import NIGHTLY, find, folder_of, schedule_of
    from flows.services.prefect_api import find_api
    from tasks.shared.project_identity import read_identity

    found = find(find_api(), read_identity(root), NIGHTLY)
    cron = schedule_of(found) if found else None
    if found is None or cron is None:
        typer.echo('There is no schedule: set one with `stylereel schedule "0 2 * * *" --timezone Europe/Berlin`')
        return
    typer.echo(f"{cron.text} ({cron.timezone}) in {folder_of(found)}")
    for time in cron.next_times():
        typer.echo(f"  next: {time:%a %Y-%m-%d %H:%M} {cron.timezone}")
