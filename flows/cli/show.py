"""Terminal output of the commands: metrics, paths of results, findings, lineage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tasks.project.doctor import Finding
    from tasks.shared.whence import Trail

_COLOURS = {"ok": "green", "note": "yellow", "wrong": "red"}


def print_figures(reports: Path) -> None:
    """Prints what evaluate measured, with the baselines' figures, one per row.

    Raises:
        UsageError: there are no metrics yet.
    """
    from rich.console import Console
    from rich.table import Table

    from stylegan_core.report.figures import SUBJECTS
    from tasks.shared.errors import UsageError
    from tasks.stages.figures_files import read_figures

    figures = read_figures(reports)
    if not figures:
        raise UsageError(f"{reports} has no figures: run `stylereel evaluate` first")
    suffixes = [suffix for suffix in SUBJECTS if suffix]
    names = [name for name in figures if not any(name.endswith(f"_{suffix}") for suffix in suffixes)]
    table = Table(box=None, pad_edge=False)
    table.add_column("metric")
    for heading in SUBJECTS.values():
        table.add_column(heading, justify="right")
    for name in names:
        cells = [figures.get(f"{name}_{suffix}" if suffix else name) for suffix in SUBJECTS]
        table.add_row(name, *("" if value is None else f"{value:.4g}" for value in cells))
    Console(highlight=False).print(table)


def print_places(root: Path) -> None:
    """Prints the paths of the results."""
    from tasks.shared.project_home import project_home
    from tasks.shared.tracking import tracking_uri

    uri = tracking_uri(project_home(root))
    typer.echo("")
    typer.echo(f"stylized shots   {root / 'out' / 'stylized'}")
    for movie in sorted((root / "out" / "stylized").glob("*.mp4")):
        typer.echo(f"preview          {movie}")
    typer.echo(f"review page      {root / 'reports' / 'review.html'}")
    typer.echo(f"figures          {root / 'reports' / 'metrics.json'}")
    typer.echo(f"MLflow store     {uri}   (mlflow ui --backend-store-uri {uri})")


def print_findings(findings: Sequence[Finding]) -> None:
    """Prints the doctor's findings, one per row."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        table.add_row(f"[{_COLOURS[finding.verdict]}]{finding.verdict}[/]", finding.topic, finding.text)
    Console(highlight=False).print(table)


def print_trail(trail: Trail, *, most: int = 10) -> None:
    """Prints the lineage of something, with its first frames."""
    if trail.note:
        typer.echo(trail.note)
    for digest, about in trail.models.items():
        typer.echo(f"model       {digest}")
        _print_facts(about)
    for heading, facts in (("metadata", trail.metadata), ("results", trail.results)):
        if facts:
            typer.echo(heading)
            _print_facts(facts)
    signatures = [trail.signature] if trail.signature else []
    for label, ids in (("signature", signatures), ("flow run", trail.flow_runs), ("commit", trail.commits)):
        for one in ids:
            typer.echo(f"{label:<12}{one}")
    for job, settings in [*trail.jobs.items()][:most]:
        typer.echo(f"job         {job[:16]}")
        _print_facts(settings)
    for frame in trail.frames[:most]:
        typer.echo(f"frame       {frame.frame}  sha256 {frame.sha256[:16]}  job {frame.job[:16]}")
    if len(trail.frames) > most:
        typer.echo(f"... and {len(trail.frames) - most} more frames (--json lists all)")


def _print_facts(facts: Mapping[str, str]) -> None:
    for name, value in facts.items():
        typer.echo(f"  {name:<15} {value}")
