"""Commands that answer questions: ``doctor`` about this machine, ``whence`` about the lineage of a file or an id."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.show import print_findings, print_trail


def doctor() -> None:
    """Examine this machine: versions, devices, precision, back ends, free disk, known breakages."""
    from tasks.project.doctor import examine

    findings = examine()
    print_findings(findings)
    if any(finding.verdict == "wrong" for finding in findings):
        sys.exit(1)


def whence(
    what: Annotated[str, typer.Argument(help="A stylized frame, a model folder, or the first digits of an id.")],
    output: Annotated[
        Path | None, typer.Option("--in", help="Also search this output folder, not only those of the project.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show which model, MLflow run, flow run and commit made something, or what they made."""
    from tasks.shared import whence as task
    from tasks.shared.versioning import project_root

    trail = task.whence(project_root(), what, output=output)
    if as_json:
        typer.echo(json.dumps(trail.as_dict(), indent=1))
        return
    print_trail(trail)
