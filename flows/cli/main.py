"""The command line, ``stylereel``. Heavy imports are inside the commands: help must answer at once."""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli import export as cli_export
from flows.cli import features as cli_features
from flows.cli import recipes as cli_recipes
from flows.cli import stylize as cli_stylize
from flows.cli.show import print_figures, print_findings, print_places, print_trail
from flows.cli.threads_option import add_threads_option, run_with_threads
from flows.stage import configure_logging, exit_with_code, explained_by_stage

_EPILOG = (
    "Exit codes: 0 all done; 1 some inputs failed, or an error; 2 the call was wrong; 3 stopped, run again to finish."
)

app = typer.Typer(
    name="stylereel",
    help="Teach a style once, apply it to every frame.",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"stylereel {importlib.metadata.version('stylereel')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[  # its callback prints
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit."),
    ] = False,
) -> None:
    """Teach a style once, apply it to every frame."""


def main() -> None:
    """Entry point of ``stylereel`` and ``python -m flows``."""
    app(prog_name="stylereel")


def _command(name: str, examples: str, **options: Any) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Registers a command whose errors become one line and an exit code; ``examples`` close its help."""

    def register(function: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(function)
        def guarded(*args: Any, threads: str = "auto", **kwargs: Any) -> None:
            configure_logging()
            exit_with_code(lambda: run_with_threads(name, threads, lambda: function(*args, **kwargs)))

        shown = "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines())
        add_threads_option(guarded, inspect.signature(function, eval_str=True))
        guarded.__doc__ = f"{function.__doc__}\n\n\b\nExamples:\n{shown}"
        return app.command(name, **options)(guarded)

    return register


def _root() -> Path:
    from tasks.shared.errors import UsageError
    from tasks.shared.versioning import project_root

    root = project_root()
    if not (root / "params.yaml").is_file():
        raise UsageError(f"{root} is no stylereel project: go to one, or make one with `stylereel init FOLDER`")
    return root


@_command("init", "stylereel init ~/films/harbour")
def init(folder: Annotated[Path, typer.Argument(help="A new folder, outside of other projects.")]) -> None:
    """Make a project for your own shots: git, DVC, params.yaml and folders."""
    from tasks.project.init_project import init_project

    made = init_project(folder)
    typer.echo(f"Made {made}. Next:")
    typer.echo(f"  1. put the frames of a shot in {made / 'plates' / 'my_shot'}")
    typer.echo(f"  2. paint one or a few of them, same frame numbers, into {made / 'painted' / 'my_shot'}")
    typer.echo(f"  3. name your shots in {made / 'params.yaml'}")
    typer.echo(f"  4. cd {made} && {_own_command()} stylize")


def _own_command() -> str:
    """How a shell calls this program: by its name alone only where that is on PATH."""
    beside = Path(sys.executable).with_name("stylereel")
    return "stylereel" if shutil.which("stylereel") or not beside.is_file() else str(beside)


def _stage_command(stage: str, text: str) -> None:
    def command(
        force: Annotated[bool, typer.Option("--force", help="Run it even if nothing changed.")] = False,
    ) -> None:
        _reproduce(stage, force=force)

    command.__doc__ = text
    _command(stage, f"stylereel {stage}\nstylereel {stage} --force")(command)


def _reproduce(stage: str, *, force: bool) -> None:
    from tasks.project.sync import sync
    from tasks.shared.versioning import run_dvc

    root = _root()
    sync(root)
    with explained_by_stage(root):
        run_dvc(root, ["repro", stage])
        if force:
            run_dvc(root, ["repro", "--single-item", "--force", stage])


_stage_command("prepare", "Decode, check and split your pictures, if anything changed.")
_stage_command("train", "Train what params.yaml asks for, and prepare first, if anything changed.")
_stage_command(
    "evaluate", "Measure the models beside tuned filters: reports/metrics.json; earlier stages run if needed."
)


def _stylize_project() -> None:
    _reproduce("stylize", force=False)
    print_places(_root())
    cli_stylize.raise_if_frames_failed(_root() / "out/stylized/report.json")


cli_stylize.register(_command, _stylize_project)


@_command("pipeline", "stylereel pipeline\nstylereel pipeline --scheduled --max-swd-ratio 0.5")
def pipeline(
    scheduled: Annotated[
        bool, typer.Option("--scheduled", help="Refuse changed files; commit the results to --branch.")
    ] = False,
    max_swd_ratio: Annotated[
        float, typer.Option(help="Largest patch distance to the truth that is promoted, over the untouched input's.")
    ] = 1.0,
    push: Annotated[bool, typer.Option(help="Copy data and models to the DVC remote.")] = True,
    branch: Annotated[str, typer.Option(help="Git branch for the results of scheduled runs.")] = "runs/nightly",
    lock_wait_s: Annotated[float, typer.Option(help="How long to wait for another pipeline or dvc here.")] = 3600.0,
) -> None:
    """Run all stages, with the promotion gate between evaluate and stylize, then push."""
    from flows.chain import ChainSettings, chain
    from flows.runners.run_stage import run_stage

    root, settings = _root(), ChainSettings(scheduled, max_swd_ratio, push, branch, lock_wait_s)
    run_stage("pipeline", lambda runner: chain(runner, root, settings))
    print_places(root)


@_command("sync", "stylereel sync && dvc repro")
def sync_command() -> None:
    """Update dvc.yaml from params.yaml and the installed tool, before a `dvc repro` by hand; list outdated defaults."""
    from tasks.project.former_defaults import outdated_defaults
    from tasks.project.sync import sync

    root = _root()
    changed = sync(root)
    typer.echo("changed: " + ", ".join(changed) if changed else "nothing to change")
    outdated = outdated_defaults((root / "params.yaml").read_text(encoding="utf-8"))
    if outdated:
        typer.echo("\nparams.yaml has values that were defaults of an earlier version. Keep those that you chose:")
    for default in outdated:
        typer.echo(f"  {default.describe()}")


@_command("report", "stylereel report\nstylereel report --page ~/harbour.html")
def report(
    page: Annotated[
        Path | None, typer.Option(help="Write the review page of what is there now to this file as well.")
    ] = None,
) -> None:
    """Show the figures of the last evaluation beside the baselines, and where the review page is."""
    root = _root()
    print_figures(root / "reports" / "metrics.json")
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


cli_export.register(_command)
cli_features.register(_command)
cli_recipes.register(_command)


@_command("doctor", "stylereel doctor")
def doctor() -> None:
    """Examine this machine: versions, devices, precision, back ends, free disk, known breakages."""
    from tasks.project.doctor import examine

    findings = examine()
    print_findings(findings)
    if any(finding.verdict == "wrong" for finding in findings):
        sys.exit(1)


@_command(
    "whence",
    """stylereel whence out/stylized/sample/shot.0001.png
    stylereel whence delivered/sh010.1042.exr     (by what the file says of itself)
    stylereel whence models/all
    stylereel whence 3f9a21c0     (first digits of a model, an MLflow run, a flow run or a commit)""",
)
def whence(
    what: Annotated[str, typer.Argument(help="A stylized frame, a model folder, or the first digits of an id.")],
    output: Annotated[
        Path | None, typer.Option("--in", help="Look for frames in this output folder too, not only the project's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say which model, MLflow run, flow run and commit made something, or what they made."""
    from tasks.shared.versioning import project_root
    from tasks.shared.whence import whence as follow

    trail = follow(project_root(), what, output=output)
    if as_json:
        typer.echo(json.dumps(trail.as_dict(), indent=1))
        return
    print_trail(trail)


@_command("where", "stylereel where", hidden=True)
def where() -> None:
    """Say where the results of the last run are."""
    print_places(_root())
