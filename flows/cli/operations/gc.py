"""The command ``gc``: removes what no commit needs, runs that nothing uses, and what was not used for a long time."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.project import project_folder

EXAMPLES = """
stylereel gc     (lists what would be removed)
stylereel gc --yes
stylereel gc --older-than-days 7 --keep-days 365 --yes
"""


def gc(
    yes: Annotated[bool, typer.Option("--yes", help="Remove it. Default: list it.")] = False,
    older_than_days: Annotated[
        float, typer.Option(min=1, help="Age of checkpoints and decoded pictures in the user's cache.")
    ] = 30.0,
    keep_days: Annotated[
        float | None,
        typer.Option(min=0, help="Age of runs in Prefect and MLflow; 0 keeps all. Default: limits.keep_days."),
    ] = None,
) -> None:
    """List what is not needed any more, or remove it with --yes.

    From DVC's cache of this project: data and models that no commit of any branch or tag, no experiment and not the
    workspace names. What scheduled runs promoted is in the commit of its run. The DVC remote keeps all that it has.
    From the user's cache: entries that were not written to for --older-than-days. From the Prefect server and from
    MLflow: this project's runs that ended more than --keep-days ago; in MLflow only those that no model with an alias,
    no lineage and no result names, and these stay in MLflow's trash for 30 days. With --yes it ends with an error while
    a pipeline is running.
    """
    from flows.chain import pipeline_lock
    from flows.runners.limited_runner import read_limits
    from tasks.scheduled.run_checkout import run_checkout_folder
    from tasks.shared.project_home import project_home
    from tasks.shared.versioning import collect_garbage

    root = project_folder()
    age_days = read_limits(root).keep_days if keep_days is None else keep_days
    runs = run_checkout_folder(root)
    sharing = [runs] if project_home(runs) == root else []
    # A pipeline has data that no commit names yet. To list disturbs none.
    with pipeline_lock(project_home(root), 0.0) if yes else nullcontext():
        collect_garbage(root, sharing, dry=not yes)
        _gc_cache(older_than_days, yes=yes)
        if age_days > 0:
            _gc_flow_runs(root, age_days, yes=yes)
            _gc_mlflow(root, age_days, yes=yes)
    if not yes:
        typer.echo("Nothing was removed: run `stylereel gc --yes` to do so.")


def _gc_cache(older_than_days: float, *, yes: bool) -> None:
    from stylegan_core.storage.cache import cache_folder
    from tasks.project.gc import remove_entry, stale_entries

    entries = stale_entries(cache_folder(), older_than_days=older_than_days, now_s=time.time())
    for entry in entries:
        typer.echo(f"{entry.path}: {entry.size_bytes / 1e6:.1f} MB, {entry.age_days:.0f} days old")
        if yes:
            remove_entry(entry)
    megabytes = sum(entry.size_bytes for entry in entries) / 1e6
    typer.echo(f"{len(entries)} entries of the cache, {megabytes:.1f} MB, {_done(yes=yes)}")


def _gc_flow_runs(root: Path, keep_days: float, *, yes: bool) -> None:
    from flows.retention import old_flow_runs, remove_flow_runs
    from flows.services.prefect_api import PrefectApi, known_api_url

    url = known_api_url()
    if url is None or not PrefectApi(url, patience_s=5.0).is_up():
        typer.echo("Prefect: no server answers, so its runs stay as they are; `stylereel up` starts it")
        return
    if yes:
        number, oldest = remove_flow_runs(root, keep_days, url), ""
    else:
        old = old_flow_runs(root, keep_days, url)
        number, oldest = old.number, f" (the oldest of {old.oldest:%Y-%m-%d})" if old.oldest else ""
    typer.echo(f"Prefect: {number} runs that ended more than {keep_days:g} days ago{oldest}, {_done(yes=yes)}")


def _gc_mlflow(root: Path, keep_days: float, *, yes: bool) -> None:
    from tasks.retention.mlflow_runs import TRASH_DAYS, carry_out, plan

    found = plan(root, older_than_days=keep_days, now_s=time.time())
    for run in found.old:
        typer.echo(f"MLflow run {run.id}: {run.name}, ended {time.strftime('%Y-%m-%d', time.gmtime(run.ended_s))}")
    to_do = carry_out(found, root) if yes else ""
    moved = "moved into MLflow's trash" if yes else "would be moved into MLflow's trash"
    there = f"{found.trash} are there, for {TRASH_DAYS:g} days each"
    typer.echo(f"MLflow: {len(found.old)} runs that nothing uses, {moved}; {there}")
    if to_do:
        typer.echo(to_do)


def _done(*, yes: bool) -> str:
    return "removed" if yes else "would be removed"
