"""Commands of the services of one machine: ``up``, ``down``, ``status``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated

import typer

from flows.cli.project import project_folder

_STATUS_EXAMPLES = """
stylereel status
stylereel status --json
watch stylereel status
"""


def register(command: Callable[..., Callable[[Callable[..., object]], object]]) -> None:
    """Registers the commands with the decorator of the command line."""
    command("up", "stylereel up\nstylereel up --port 4300")(up)
    command("down", "stylereel down")(down)
    command("status", _STATUS_EXAMPLES)(status)


def up(
    port: Annotated[
        int | None,
        typer.Option(min=1024, max=65535, help="Of the Prefect server; default: 4200, or the next free one."),
    ] = None,
) -> None:
    """Start Prefect server, work pool, workers and MLflow on this machine, unless they run already.

    As systemd user services where the user has systemd, else in the background. All listen on 127.0.0.1 only. The
    server is shared by all projects of a user; MLflow and the workers, one for trainings and one for work on demand,
    are those of this project.
    """
    from flows.services import site
    from flows.services.systemd import has_systemd, starts_at_boot

    records = site.up(project_folder(), port, typer.echo)
    for record, title in zip(records, ("Prefect server", "MLflow", "worker", "worker on demand"), strict=True):
        log = f"   log: {record.log}" if record.log else ""
        typer.echo(f"{title:<16} {record.address or 'polls for runs'}{log}")
    if any(record.manager == "processes" for record in records):
        typer.echo("They do not start at boot: run `stylereel up` again, or call it from cron (@reboot).")
    elif has_systemd() and not starts_at_boot():
        typer.echo("They start when you log in. To start them at boot, run once: loginctl enable-linger")
    typer.echo(f"For Prefect's own commands: export PREFECT_API_URL={records[0].address}/api")
    typer.echo('Next: stylereel schedule "0 2 * * *" --timezone Europe/Berlin; then stylereel status')


def down() -> None:
    """Stop this project's workers and MLflow, and the Prefect server unless another project uses it.

    A training that runs saves its state first; its next run continues from there.
    """
    from flows.services import site

    stopped = site.down(project_folder(), typer.echo)
    typer.echo("Stopped: " + ", ".join(stopped) if stopped else "Nothing was running.")


def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show services, runs, failures with their reasons, what comes next, and free disk, on one screen."""
    from datetime import UTC, datetime

    from flows.services.status import collect

    now = datetime.now(UTC)
    found = collect(project_folder(), now)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=1))
        return
    from flows.cli.operations.show_status import print_status

    print_status(found, now)
