"""``stylereel stylize``, its halves ``plan`` and ``work``, and ``verify``: frames in, frames out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows import stylize_folder
from flows.stylize_options import takes_request

if TYPE_CHECKING:
    from stylegan_core.inference.request import Request

Checksum = Annotated[bool, typer.Option("--checksum", help="Hash finished frames again instead of trusting times.")]
AsJson = Annotated[bool, typer.Option("--json", help="The report for programs, on stdout.")]

_EXAMPLES = """
stylereel stylize                                  (the project's shots, by dvc)
stylereel stylize ~/plates ~/painted-plates
stylereel stylize plates/sh010.####.png out/sh010 --frames 1001-1100x2
stylereel stylize photos out --model models:/stylereel.harbour.all@promoted --strength 0.7
stylereel stylize photos out --model swap --style-image dusk.jpg --style-image sea.jpg:0.3
stylereel stylize faces out --model attributes --edit "smiling, no glasses"
stylereel stylize plates out --regions regions.yaml --elsewhere style
"""

_PLAN_EXAMPLES = """
stylereel work $(stylereel plan plates out)
stylereel plan plates/sh010.####.png out --frames 1-100
"""


def register(
    command: Callable[..., Callable[[Callable[..., object]], object]], stylize_project: Callable[[], None]
) -> None:
    """Adds the commands, by the command line's own decorator.

    Args:
        command: takes a name and examples.
        stylize_project: what ``stylereel stylize`` does without INPUT.
    """

    def stylize(
        asked: Request | None,
        context: typer.Context,
        checksum: Checksum = False,
        preview: Annotated[bool, typer.Option(help="A movie of a numbered sequence, in OUTPUT/.stylereel.")] = True,
        fps: Annotated[float, typer.Option(help="Of the preview.")] = 24.0,
        as_json: AsJson = False,
    ) -> None:
        """Stylize a folder, a sequence or a movie; without INPUT, bring the project's shots up to date.

        What is done already is skipped; the same command again finishes what was interrupted.
        """
        if asked is None:
            _refuse_options_without_input(context)
            stylize_project()
            return
        stylize_folder.stylize_folder(asked, checksum=checksum, preview=preview, fps=fps, as_json=as_json)

    command("stylize", _EXAMPLES)(takes_request(stylize, needs_input=False))
    command("plan", _PLAN_EXAMPLES)(takes_request(plan))
    command("work", "stylereel work out/.stylereel/job-0123456789abcdef.json")(work)
    command("verify", "stylereel verify out")(verify)


def plan(asked: Request) -> None:
    """The first half of stylize: read the whole shot, write the job file, print its path."""
    stylize_folder.plan_only(asked)


def work(
    job: Annotated[Path, typer.Argument(help="From `stylereel plan`.")],
    checksum: Checksum = False,
    as_json: AsJson = False,
) -> None:
    """The second half of stylize: make the frames of a job that are not done."""
    stylize_folder.work_only(job, checksum=checksum, as_json=as_json)


def verify(output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Of an earlier stylize.")]) -> None:
    """Check every frame of an output folder against what was written."""
    stylize_folder.verify_output(output)


def raise_if_frames_failed(report: Path) -> None:
    """The stage itself goes on as long as ``stylize.max_bad_fraction`` allows; whoever called hears of it.

    Raises:
        InputsFailedError: the stage's report names failed frames.
    """
    from tasks.errors import InputsFailedError

    found = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else {}
    failed = [f"{name}: {f['path']}: {f['reason']}" for name, item in found.items() for f in item["failed"]]
    if failed:
        raise InputsFailedError(f"{len(failed)} inputs failed, all others are done:\n" + "\n".join(failed))


def _refuse_options_without_input(context: typer.Context) -> None:
    """The stage of DVC takes its settings from params.yaml alone."""
    from tasks.errors import UsageError

    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if (source := context.get_parameter_source(parameter.name or "")) and source.name == "COMMANDLINE"
    ]
    if given:
        raise UsageError(
            f"{', '.join(given)}: only with INPUT and OUTPUT; the project's shots are stylized as params.yaml says"
        )
