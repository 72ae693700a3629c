"""``stylereel notify``: receivers of messages, a test, and the watch that cron can start."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, Protocol

import typer

from flows.cli.project import project_folder

_ADD_EXAMPLES = """
stylereel notify add --webhook https://hooks.slack.com/services/T000/B000/XXXX
stylereel notify add --mail-to film@example.com --smtp smtps://user:password@mail.example.com:465
"""
_WATCH_EXAMPLES = """
stylereel notify watch --once
*/15 * * * * cd ~/films/harbour && ~/stylereel/.venv/bin/stylereel notify watch --once     (in a crontab)
"""
_STDIN = "-"


class CommandDecorator(Protocol):
    """The decorator of the command line, for the commands of a group."""

    def __call__(self, name: str, examples: str, *, group: typer.Typer) -> Any:
        """A decorator that registers a command."""


def register(app: typer.Typer, command: CommandDecorator) -> None:
    """Registers the group ``notify``.

    Args:
        app: the command line.
        command: its decorator.
    """
    group = typer.Typer(no_args_is_help=True, help="Send messages about failed, crashed, late and stuck runs.")
    app.add_typer(group, name="notify")
    command("add", _ADD_EXAMPLES, group=group)(add)
    command("list", "stylereel notify list", group=group)(show)
    command("remove", "stylereel notify remove 1", group=group)(remove)
    command("test", "stylereel notify test", group=group)(test)
    command("watch", _WATCH_EXAMPLES, group=group)(watch)
    command("automations", "stylereel notify automations\nstylereel notify automations --remove", group=group)(
        automations
    )


def add(
    webhook: Annotated[str, typer.Option(help="URL that takes JSON with a field text: Slack, Mattermost, ...")] = "",
    mail_to: Annotated[str, typer.Option(help="E-mail address of the receiver.")] = "",
    smtp: Annotated[str, typer.Option(help="Mail server, smtps://user:password@host:465.")] = "",
    mail_from: Annotated[str, typer.Option(help="Address of the sender. Default: the user of --smtp.")] = "",
) -> None:
    """Add a receiver to .stylereel/notify.yaml, which is readable by you only and never committed.

    With `-` for a URL, it is read from standard input, so that it is in no list of processes or commands.
    """
    from pydantic import SecretStr, ValidationError

    from tasks.notify.receivers import Mailbox, Webhook, add_receiver, explain
    from tasks.shared.errors import UsageError

    if bool(webhook) == bool(mail_to) or bool(mail_to) != bool(smtp):
        raise UsageError("name one receiver: --webhook URL, or --mail-to ADDRESS with --smtp URL")
    secret = SecretStr(sys.stdin.readline().strip() if _STDIN in (webhook, smtp) else webhook or smtp)
    try:
        receiver = (
            Webhook(webhook=secret) if webhook else Mailbox(mail_to=mail_to, smtp=secret, mail_from=mail_from or None)
        )
    except ValidationError as error:
        raise UsageError(f"--{explain(error).replace('_', '-', 1)}") from None
    add_receiver(project_folder(), receiver)
    typer.echo(f"added {receiver.masked()}; `stylereel notify test` sends a message to it")


def show() -> None:
    """List the receivers, without their secrets."""
    from tasks.notify.receivers import environment_receivers, read_settings

    settings, others = read_settings(project_folder()), environment_receivers()
    for number, receiver in enumerate(settings.receivers, 1):
        typer.echo(f"{number}  {receiver.masked()}")
    for receiver in others:
        typer.echo(f"-  {receiver.masked()}   (from the environment)")
    if not settings.receivers and not others:
        typer.echo("no receivers: add one with `stylereel notify add --webhook URL`")
    if settings.server_reports_late:
        typer.echo("late and crashed runs are reported by an automation of the Prefect server")


def remove(number: Annotated[int, typer.Argument(help="As `stylereel notify list` shows it.")]) -> None:
    """Remove a receiver."""
    from tasks.notify.receivers import remove_receiver

    typer.echo(f"removed {remove_receiver(project_folder(), number).masked()}")


def test() -> None:
    """Send a message to all receivers, and show who took it."""
    from tasks.notify.messages import Message
    from tasks.notify.outbox import send
    from tasks.shared.errors import InputsFailedError, UsageError
    from tasks.shared.project_identity import read_identity

    root = project_folder()
    title = f"[{read_identity(root).name}] test of notifications"
    results = send(root, Message(title=title, lines=(f"Sent by `stylereel notify test` in {root}.",)))
    if not results:
        raise UsageError("no receivers: add one with `stylereel notify add --webhook URL`")
    for result in results:
        typer.echo(f"{'failed' if result.error else 'ok':<7} {result.receiver}")
    failed = [result.error for result in results if result.error]
    if failed:
        raise InputsFailedError("; ".join(failed) + ". The message is kept and sent with the next one")


def watch(
    once: Annotated[bool, typer.Option("--once", help="Look once and exit, for cron.")] = False,
    every_min: Annotated[float, typer.Option(min=0.1, help="Minutes between two looks.")] = 15.0,
    low_disk_gb: Annotated[float, typer.Option(min=0, help="Report a disk with less free space.")] = 5.0,
    summary_hour: Annotated[int, typer.Option(min=0, max=23, help="Hour after which the daily summary is sent.")] = 7,
    timezone: Annotated[str, typer.Option(help="Of --summary-hour, such as Europe/Berlin.")] = "UTC",
) -> None:
    """Report what a dead process cannot: crashed, late and stuck runs, full disks, a dead server; send the summary.

    It asks the server of PREFECT_API_URL, else that of `stylereel up`; without one, it looks at this project alone.
    """
    import time

    from flows.services.prefect_api import expected_api_url
    from flows.watch import watch_project

    root = project_folder()
    while True:
        problems = watch_project(
            root, expected_api_url(root), low_disk_gb=low_disk_gb, summary_hour=summary_hour, timezone=timezone
        )
        for problem in problems:
            typer.echo(f"{problem.headline()}: {problem.reason}")
        if once:
            return
        time.sleep(60.0 * every_min)


def automations(
    remove: Annotated[bool, typer.Option("--remove", help="Remove it; `notify watch` reports these again.")] = False,
) -> None:
    """Let the Prefect server post late and crashed runs to the webhooks, for a server on another machine.

    `notify watch` then leaves these to the server. The server keeps the URLs of the webhooks as secrets.
    """
    from flows.services.prefect_api import VARIABLE, find_api

    root = project_folder()
    os.environ[VARIABLE] = find_api().url  # before Prefect is imported, which reads it
    from flows.automations import create_automation, remove_automation

    name = remove_automation(root) if remove else create_automation(root)
    typer.echo(f"{'removed' if remove else 'created'} the automation {name!r}")
