"""The command ``experiments``: a readable `dvc exp show`."""

from __future__ import annotations

import csv
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.project import project_folder

if TYPE_CHECKING:
    from tasks.project.experiments import Table

EXAMPLES = """
stylereel experiments
stylereel experiments --all-commits --columns 12
stylereel experiments --keep budget_steps --keep ssim --csv
"""


def experiments(
    columns: Annotated[int, typer.Option(min=3, help="At most this many columns.")] = 30,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="A regular expression; settings and metrics that match have a column. Repeatable."),
    ] = None,
    all_commits: Annotated[
        bool, typer.Option("--all-commits", help="Experiments of all commits, not of the last one alone.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Show experiments with the settings that differ between them, and their metrics."""
    from tasks.project.experiments import parse_experiments, tabulate
    from tasks.shared.versioning import experiments_of

    table = tabulate(
        parse_experiments(experiments_of(project_folder(), all_commits=all_commits)), most=columns, keep=keep or ()
    )
    if as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows([table.columns, *table.rows])
    else:
        _print(table)
    if table.omitted:
        typer.echo(f"{len(table.omitted)} more, see --columns and --keep: {', '.join(table.omitted)}", err=True)


def _print(table: Table) -> None:
    """Prints the table; on a terminal that it does not fit, in a pager that scrolls sideways."""
    from rich.console import Console
    from rich.table import Table as RichTable

    shown = RichTable(box=None, pad_edge=False)
    for name in table.columns:
        shown.add_column(name, no_wrap=True)
    for row in table.rows:
        shown.add_row(*row)
    terminal = Console()
    width = sum(max(len(row[at]) for row in (table.columns, *table.rows)) + 1 for at in range(len(table.columns)))
    console = Console(width=max(width, terminal.width), highlight=False)
    if not terminal.is_terminal or width <= terminal.width:
        console.print(shown)
        return
    os.environ.setdefault("LESS", "-SFRX")
    with console.pager():
        console.print(shown)
