"""The command line, ``stylereel``: all commands. Heavy imports are inside the commands, so that help is fast."""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from flows.cli import diagnosis, export, features, project, recipes, stylize
from flows.cli.operations import backup, experiments, gc, inbox, notify, promotion, schedule, services, worker
from flows.cli.threads_option import add_threads_option, run_with_threads
from flows.output_pipe import quiet_at_closed_output
from flows.stage import configure_logging, exit_with_code

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


def main() -> None:
    """Entry point of ``stylereel`` and ``python -m flows``."""
    with quiet_at_closed_output():
        app(prog_name="stylereel")


def _print_version(wanted: bool) -> None:
    if wanted:
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


def _command(
    name: str, examples: str, *, group: typer.Typer = app, **options: Any
) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Decorates a command: errors become one line and an exit code; ``examples`` are the end of its help."""

    def register(function: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(function)
        def guarded(*args: Any, threads: str = "auto", **kwargs: Any) -> None:
            configure_logging()
            exit_with_code(lambda: run_with_threads(name, threads, lambda: function(*args, **kwargs)))

        lines = "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines())
        add_threads_option(guarded, inspect.signature(function, eval_str=True))
        guarded.__doc__ = f"{inspect.getdoc(function)}\n\n\b\nExamples:\n{lines}"
        return group.command(name, **options)(guarded)

    return register


_STAGES = {
    "prepare": "Decode, check and split your pictures, if anything changed.",
    "train": "Train the models of params.yaml, and prepare first, if anything changed.",
    "evaluate": "Compare the models with tuned filters: reports/metrics.json. Earlier stages run if needed.",
}

_WHENCE_EXAMPLES = """
stylereel whence out/stylized/sample/shot.0001.png
stylereel whence delivered/sh010.1042.exr     (by the file's own metadata)
stylereel whence models/all
stylereel whence 3f9a21c0     (first digits of a model, an MLflow run, a flow run or a commit)
"""

_command("init", "stylereel init ~/films/harbour")(project.init)
for _stage, _description in _STAGES.items():
    _examples = f"stylereel {_stage}\nstylereel {_stage} --force"
    _command(_stage, _examples)(project.stage_command(_stage, _description))
stylize.register(_command, project.stylize_project)
_command("pipeline", "stylereel pipeline\nstylereel pipeline --scheduled --max-swd-ratio 0.5")(project.pipeline)
promotion.register(_command)
services.register(_command)
schedule.register(_command)
_command("inbox", inbox.EXAMPLES)(inbox.inbox)
_command("worker", worker.EXAMPLES)(worker.worker)
_command("experiments", experiments.EXAMPLES)(experiments.experiments)
_command("gc", gc.EXAMPLES)(gc.gc)
backup.register(_command)
_command("sync", "stylereel sync && dvc repro")(project.sync)
_command("report", "stylereel report\nstylereel report --page ~/harbour.html")(project.report)
export.register(_command)
features.register(_command)
recipes.register(_command)
notify.register(app, _command)
_command("doctor", "stylereel doctor")(diagnosis.doctor)
_command("whence", _WHENCE_EXAMPLES)(diagnosis.whence)
_command("where", "stylereel where", hidden=True)(project.where)
