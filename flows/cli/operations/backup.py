"""The commands ``backup`` and ``restore``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.project import project_folder

_BACKUP_EXAMPLES = """
stylereel backup /mnt/backup     (a file harbour-20261201-021500.tar in this folder)
stylereel backup ~/harbour.tar --with-data
"""
_RESTORE_EXAMPLES = """
stylereel restore /mnt/backup/harbour-20261201-021500.tar     (to where the project was)
stylereel restore ~/harbour.tar ~/films/harbour --force
"""


def register(command: Callable[..., Callable[[Callable[..., object]], object]]) -> None:
    """Registers the commands with the decorator of the command line."""
    command("backup", _BACKUP_EXAMPLES)(backup)
    command("restore", _RESTORE_EXAMPLES)(restore)


def backup(
    target: Annotated[Path, typer.Argument(metavar="FOLDER_OR_FILE", help="A folder, or a new file NAME.tar.")],
    with_data: Annotated[
        bool, typer.Option("--with-data", help="Copy DVC's cache too: pictures, models and results.")
    ] = False,
) -> None:
    """Write a backup of this project to one file; servers and runs may go on.

    It has git's history, settings, promoted models, lineage, the MLflow store with its files, and the database of the
    Prefect server with schedules and runs. The file may hold passwords of receivers and is readable by you only.
    """
    from flows.services.server_database import server_database
    from tasks.backup.create import create_backup

    path, manifest = create_backup(project_folder(), target, server_database(), with_data=with_data)
    typer.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    for line in manifest.left_out:
        typer.echo(f"not included: {line}")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Written by `stylereel backup`.")],
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER", help="New, empty, or a clone of the project.", show_default="where the project was"
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the state of a project that has worked.")] = False,
    replace_server: Annotated[
        bool, typer.Option("--replace-server", help="Replace the Prefect server's database: runs of all projects.")
    ] = False,
) -> None:
    """Restore a project from a backup, after all its files were verified; stop its services first.

    What is replaced is moved aside, not deleted. The database of the Prefect server is restored if there is none.
    """
    from flows.services.server_database import server_database
    from tasks.backup.archive import read_manifest
    from tasks.backup.restore import RestoreOptions, restore_backup

    manifest = read_manifest(file)
    root = (folder or Path(manifest.root)).absolute()
    _refuse_running_services(root, replace_server=replace_server)
    done = restore_backup(file, root, server_database(), RestoreOptions(force, replace_server))
    typer.echo(f"{done.root}: the project {manifest.project} as of {manifest.time}")
    if done.replaced:
        typer.echo(f"what was there before: {done.replaced}")
    if done.server_kept:
        typer.echo(
            "The Prefect server has a database, which was left as it is: set the schedule with `stylereel schedule`, "
            "or restore again with --force --replace-server."
        )
    if str(done.root) != manifest.root:
        typer.echo(f"The project was in {manifest.root}: set its schedule again with `stylereel schedule`.")
    # Not `dvc pull` alone: it ends with an error where no dvc.lock names the results of the stages.
    typer.echo(
        "Next: `dvc pull plates.dvc painted.dvc` (or `dvc checkout` of them, with the data), then `stylereel up` and "
        "`stylereel status`."
    )


def _refuse_running_services(root: Path, *, replace_server: bool) -> None:
    from flows.services.definitions import WORKERS
    from flows.services.server_database import server_database
    from flows.services.service import records_folder
    from flows.services.site import running
    from tasks.shared.errors import UsageError
    from tasks.shared.project_identity import PROJECT_FILE

    names = []
    if (root / PROJECT_FILE).is_file():
        names = [name for name in (*WORKERS.values(), "mlflow") if running(records_folder(root), name)]
    database = server_database().path
    is_written = database is not None and (replace_server or not database.exists())
    if is_written and running(records_folder(), "server"):
        names.append("server")
    if names:
        raise UsageError(f"these services run: {', '.join(names)}; stop them with `stylereel down`, then restore")
