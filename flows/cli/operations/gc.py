"""The command ``gc``: removes what no commit needs, and what was not used for a long time."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from flows.cli.project import project_folder

EXAMPLES = """
stylereel gc     (lists what would be removed)
stylereel gc --yes
stylereel gc --older-than-days 7 --yes
"""


def gc(
    yes: Annotated[bool, typer.Option("--yes", help="Remove it. Default: list it.")] = False,
    older_than_days: Annotated[
        float, typer.Option(min=1, help="Age of checkpoints and decoded pictures in the user's cache.")
    ] = 30.0,
) -> None:
    """List what is not needed any more, or remove it with --yes.

    From DVC's cache of this project: data and models that no commit of any branch or tag, no experiment and not the
    workspace names. What scheduled runs promoted is in the commit of its run. The remote and MLflow
    keep all that they have. From the user's cache: entries that were not written to for --older-than-days.
    """
    from stylegan_core.storage.cache import cache_folder
    from tasks.project.gc import remove_entry, stale_entries
    from tasks.scheduled.run_checkout import run_checkout_folder
    from tasks.shared.project_home import project_home
    from tasks.shared.versioning import collect_garbage

    root = project_folder()
    runs = run_checkout_folder(root)
    sharing = [runs] if project_home(runs) == root else []
    collect_garbage(root, sharing, dry=not yes)
    entries = stale_entries(cache_folder(), older_than_days=older_than_days, now_s=time.time())
    for entry in entries:
        typer.echo(f"{entry.path}: {entry.size_bytes / 1e6:.1f} MB, {entry.age_days:.0f} days old")
        if yes:
            remove_entry(entry)
    megabytes = sum(entry.size_bytes for entry in entries) / 1e6
    typer.echo(f"{len(entries)} entries of the cache, {megabytes:.1f} MB, {'removed' if yes else 'would be removed'}")
    if not yes:
        typer.echo("Nothing was removed: run `stylereel gc --yes` to do so.")
