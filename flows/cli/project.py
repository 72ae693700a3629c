"""Commands of a project: ``init``, the stages, ``pipeline``, ``sync``, ``report``."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.show import print_figures, print_places
from flows.cli.stylize import raise_if_frames_failed
from flows.stage import explained_by_stage

if TYPE_CHECKING:
    from tasks.shared.lineage import PipelineLink
    from tasks.shared.runner import Runner


def init(folder: Annotated[Path, typer.Argument(help="A new folder, outside of other projects.")]) -> None:
    """Create a project for your own shots: git, DVC, params.yaml and folders."""
    from tasks.project.init_project import init_project

    created = init_project(folder)
    typer.echo(f"Created {created}. Next:")
    typer.echo(f"  1. put the frames of a shot in {created / 'plates' / 'my_shot'}")
    typer.echo(f"  2. paint one or a few of them, same frame numbers, into {created / 'painted' / 'my_shot'}")
    typer.echo(f"  3. name your shots in {created / 'params.yaml'}")
    typer.echo(f"  4. cd {created} && {_own_command()} stylize")


def stage_command(stage: str, description: str) -> Callable[..., None]:
    """The command of a stage: runs it and the stages before it, as far as they are out of date."""

    def command(
        force: Annotated[bool, typer.Option("--force", help="Run the stage even if nothing changed.")] = False,
    ) -> None:
        _reproduce(stage, force=force)

    command.__doc__ = description
    return command


def stylize_project() -> None:
    """Runs the stage stylize, and the stages before it."""
    _reproduce("stylize", force=False)
    print_places(project_folder())
    raise_if_frames_failed(project_folder() / "out/stylized/report.json")


def pipeline(
    scheduled: Annotated[
        bool,
        typer.Option("--scheduled", help="Fetch, run in a clone beside the project, commit to --branch."),
    ] = False,
    max_swd_ratio: Annotated[
        float | None,
        typer.Option(
            help="Promote a model below this patch distance, as a fraction of the untouched input's. "
            "Default: promote.max_swd_ratio of params.yaml."
        ),
    ] = None,
    push: Annotated[bool, typer.Option(help="Copy data and models to the DVC remote.")] = True,
    branch: Annotated[str, typer.Option(help="Git branch for the results of scheduled runs.")] = "runs/nightly",
    ref: Annotated[
        str, typer.Option(help="Branch, tag or commit of a scheduled run.", show_default="the branch checked out here")
    ] = "",
    lock_wait_s: Annotated[
        float, typer.Option(help="Seconds to wait for another pipeline or dvc in this project.")
    ] = 3600.0,
) -> None:
    """Run all stages, with the promotion gate between evaluate and stylize, then push."""
    from flows.chain import ChainSettings, chain
    from flows.notifications import reported
    from flows.runners.limited_runner import read_limits, start_limit
    from flows.runners.run_stage import run_stage
    from flows.time_out import time_out
    from tasks.scheduled.run_checkout import results_folder

    root = project_folder()
    settings = ChainSettings(scheduled, max_swd_ratio, push, branch, ref, lock_wait_s)

    limit = start_limit(read_limits(root), "pipeline", "run_hours")

    def limited_chain(runner: Runner, killed: Callable[[Exception], None] = lambda _: None) -> PipelineLink:
        with time_out(limit, interrupt=False, killed=killed):
            return chain(runner, root, settings)

    def scheduled_chain(runner: Runner) -> object:
        with reported(root, "pipeline") as ending:  # somebody who calls it by hand reads the error here
            link = limited_chain(runner, ending.fail)
            if link.refused:
                ending.refuse(link.gate)
            return link

    run_stage("pipeline", scheduled_chain if scheduled else limited_chain)
    print_places(results_folder(root) if scheduled else root)


def sync() -> None:
    """Update dvc.yaml from params.yaml and the installed tool, before a `dvc repro` by hand; list outdated defaults."""
    from tasks.project import sync as task
    from tasks.project.former_defaults import outdated_defaults
    from tasks.shared.project_identity import start_identity

    root = project_folder()
    changed = [*start_identity(root), *task.sync(root)]
    typer.echo("changed: " + ", ".join(changed) if changed else "nothing to change")
    outdated = outdated_defaults((root / "params.yaml").read_text(encoding="utf-8"))
    if outdated:
        typer.echo("\nparams.yaml has values that were defaults of an earlier version. Keep those that you chose:")
    for default in outdated:
        typer.echo(f"  {default.describe()}")


def report(
    page: Annotated[Path | None, typer.Option(help="Write the present review page to this file, too.")] = None,
) -> None:
    """Show the metrics of the last evaluation with those of the baselines, and the paths of the results."""
    root = _folder_with_results()
    print_figures(root / "reports")
    if page is not None:
        from stylegan_core.config import load_params
        from tasks.shared.origin import origin
        from tasks.stages.review import build_review
        from tasks.stages.review_inputs import PageLineage, ReviewInputs

        folders = (root / "data/prepared", root / "models", root / "reports", root / "out/stylized")
        lineage = PageLineage.of(origin())
        build_review(ReviewInputs(load_params(root / "params.yaml"), *folders, lineage, root), page)
        typer.echo(f"review page      {page}")
    print_places(root)


def where() -> None:
    """Show the paths of the last run's results."""
    print_places(_folder_with_results())


def project_folder() -> Path:
    """The project that contains the working folder; of a checkout of scheduled runs, its project.

    Raises:
        UsageError: there is none.
    """
    from tasks.shared.errors import UsageError
    from tasks.shared.project_home import project_home
    from tasks.shared.versioning import project_root

    root = project_home(project_root())
    if not (root / "params.yaml").is_file():
        raise UsageError(f"{root} is not a stylereel project: go to one, or create one with `stylereel init FOLDER`")
    return root


def _folder_with_results() -> Path:
    """The project, or the checkout of its scheduled runs if they alone have results."""
    from tasks.scheduled.run_checkout import results_folder

    root = project_folder()
    return root if (root / "reports" / "metrics.json").is_file() else results_folder(root)


def _own_command() -> str:
    """How a shell calls this program: by its name only if it is on PATH."""
    installed = Path(sys.executable).with_name("stylereel")
    return "stylereel" if shutil.which("stylereel") or not installed.is_file() else str(installed)


def _reproduce(stage: str, *, force: bool) -> None:
    from tasks.project.sync import sync
    from tasks.shared.versioning import run_dvc

    root = project_folder()
    sync(root)
    with explained_by_stage(root):
        run_dvc(root, ["repro", stage])
        if force:
            run_dvc(root, ["repro", "--single-item", "--force", stage])
