"""Terminal output of ``status``: one screen."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from flows.services.status import ProjectStatus, RunStatus

_TITLES = {"server": "Prefect server", "worker": "worker", "on-demand-worker": "worker on demand", "mlflow": "MLflow"}
_COLOURS = {"Completed": "green", "Running": "cyan", "Failed": "red", "Crashed": "red", "Late": "yellow"}
_GOOD_ENDS = ("Completed", "Cancelled")
_MOST_FAILED = 5
_MOST_COMPLETED = 3
_LOW_DISK_BYTES = 5_000_000_000


def print_status(status: ProjectStatus, now: datetime) -> None:
    """Prints the status of a project; times are those of this machine."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    console.print(f"[bold]{escape(status.project)}[/]  {escape(status.folder)}", soft_wrap=True)
    _print_services(console, status, now)
    if not status.answers:
        console.print("\n[yellow]The Prefect server is not running: stylereel up[/]")
    else:
        _print_runs(console, status, now)
    console.print("")
    for disk in status.disk:
        low = disk.free_bytes < _LOW_DISK_BYTES
        text = f"disk ({disk.name})  {disk.free_bytes / 1e9:.1f} GB free of {disk.total_bytes / 1e9:.0f}"
        console.print(f"[yellow]{text}: low, delete files[/]" if low else text)


def _print_services(console: Console, status: ProjectStatus, now: datetime) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    for service in status.services:
        state = "[green]up[/]" if service.up else "[red]down[/]"
        begun = f"since {_when(service.since, now)}" if service.since else ""
        table.add_row(_TITLES[service.name], state, service.address or "", service.note or begun)
    console.print(table)


def _print_runs(console: Console, status: ProjectStatus, now: datetime) -> None:
    runs = status.runs
    active = [run for run in runs if run.end is None and run.start is not None]
    waiting = [run for run in runs if run.end is None and run.start is None]
    failed = [run for run in runs if run.end is not None and run.state not in _GOOD_ENDS]
    done = [run for run in runs if run.end is not None and run.state in _GOOD_ENDS]
    _print_group(console, "runs now", active, now)
    _print_group(console, "waits", waiting, now)
    _print_group(console, "failed", failed[:_MOST_FAILED], now)
    _print_group(console, "done", done[:_MOST_COMPLETED], now)
    schedule = f"schedule {status.schedule}" if status.schedule else 'no schedule: stylereel schedule "0 2 * * *"'
    console.print(f"\n[bold]next[/]  {schedule}")
    for run in status.next[:3]:
        console.print(f"  {_when(run.expected, now)}  {run.flow}")


def _print_group(console: Console, title: str, runs: Sequence[RunStatus], now: datetime) -> None:
    from rich.markup import escape
    from rich.padding import Padding

    console.print(f"\n[bold]{title}[/]" + ("" if runs else "  none"))
    width = max(shutil.get_terminal_size().columns, 60)
    for run in runs:
        colour = _COLOURS.get(run.state, "default")
        stage = f"  stage {run.stage}" if run.stage else ""
        time = _when(run.end or run.start or run.expected, now)
        console.print(f"  [{colour}]{run.state:<10}[/] {time:<16} {run.flow} {escape(run.name)}{stage}", soft_wrap=True)
        if run.reason and (run.end is None or run.state not in _GOOD_ENDS):
            reason = run.reason.removeprefix("Flow run encountered an exception: ")
            console.print(Padding(escape(_shortened(reason, 2 * (width - 4))), (0, 0, 0, 4)))


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 4]} ..."


def _when(moment: str | None, now: datetime) -> str:
    """A time of this machine: the hour today, with the day otherwise."""
    if not moment:
        return ""
    local = datetime.fromisoformat(moment).astimezone()
    if abs(local - now) < timedelta(hours=24) and local.date() == now.astimezone().date():
        return f"{local:%H:%M:%S}"
    return f"{local:%a %d %b %H:%M}"
