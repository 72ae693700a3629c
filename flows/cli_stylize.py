"""``stylereel stylize``, its halves ``plan`` and ``work``, and ``verify``: folders in, folders out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows import stylize_folder

if TYPE_CHECKING:
    from tasks.stylize import Request

Source = Annotated[str, typer.Argument(metavar="INPUT", help="A folder, or a pattern such as shot.####.png.")]
Output = Annotated[Path, typer.Argument(metavar="OUTPUT", help="Another folder, outside of INPUT.")]
Model = Annotated[
    str | None,
    typer.Option(help="A model folder, the name of one in models/, or models:/NAME@ALIAS. Default: the last trained."),
]
Frames = Annotated[str | None, typer.Option(help="Frame numbers, such as 1001-1100x2,1200. Default: all.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first so many.")]
Every = Annotated[int, typer.Option(min=1, help="Only every so many, for a preview.")]
Masks = Annotated[Path | None, typer.Option(help="Masks by frame number: white is stylized.")]
Strength = Annotated[float, typer.Option(min=0.0, max=2.0, help="How much of the change; 0 gives the source back.")]
Styles = Annotated[
    list[str] | None,
    typer.Option("--style-image", help="A reference, for models that take them; a.png:0.3 has a weight. Repeatable."),
]
Bank = Annotated[
    Path | None, typer.Option("--style-bank", help="Precomputed references, which --style-image then names.")
]
Edit = Annotated[
    str | None, typer.Option(help='For models that edit attributes: "smiling, no glasses", or "smiling=0.5".')
]
Direction = Annotated[str, typer.Option(help="forward or backward, for models that go both ways.")]
Regions = Annotated[
    Path | None, typer.Option(help="A YAML list of parts of the frames that are made otherwise, see docs/stylize.md.")
]
Elsewhere = Annotated[str, typer.Option(help="What is outside of all regions: source, or style.")]
Precision = Annotated[str, typer.Option(help="auto, fp32 or bf16.")]
Space = Annotated[str, typer.Option("--source-space", help="auto (by profile and type), srgb or linear_rec709.")]
Chunk = Annotated[int, typer.Option("--chunk-frames", min=1, help="Frames of one task.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Checksum = Annotated[bool, typer.Option("--checksum", help="Hash finished frames again instead of trusting times.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files of OUTPUT that stylereel did not make.")]
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
        context: typer.Context,
        source: Annotated[
            str | None, typer.Argument(metavar="INPUT", help="A folder or a pattern; default: the shots.")
        ] = None,
        output: Annotated[
            Path | None, typer.Argument(metavar="OUTPUT", help="Another folder, outside of INPUT.")
        ] = None,
        model: Model = None,
        frames: Frames = None,
        limit: Limit = None,
        every: Every = 1,
        masks: Masks = None,
        strength: Strength = 1.0,
        style_images: Styles = None,
        style_bank: Bank = None,
        edit: Edit = None,
        direction: Direction = "forward",
        regions: Regions = None,
        elsewhere: Elsewhere = "source",
        precision: Precision = "auto",
        source_space: Space = "auto",
        chunk_frames: Chunk = 64,
        device: Device = "auto",
        overwrite: Overwrite = False,
        checksum: Checksum = False,
        preview: Annotated[bool, typer.Option(help="A movie of a numbered sequence, in OUTPUT/.stylereel.")] = True,
        fps: Annotated[float, typer.Option(help="Of the preview.")] = 24.0,
        as_json: AsJson = False,
    ) -> None:
        """Stylize a folder or a sequence; without INPUT, bring the project's shots up to date.

        What is done already is skipped; the same command again finishes what was interrupted.
        """
        from tasks.errors import UsageError

        if source is None:
            _refuse_options_without_input(context)
            stylize_project()
            return
        if output is None:
            raise UsageError("name an OUTPUT folder too: stylereel stylize INPUT OUTPUT")
        directed = (style_images, style_bank, edit, direction, regions, elsewhere)
        run = (precision, source_space, chunk_frames, device, overwrite)
        asked = request(source, output, model, frames, limit, every, masks, strength, *directed, *run)
        stylize_folder.stylize_folder(asked, checksum=checksum, preview=preview, fps=fps, as_json=as_json)

    command("stylize", _EXAMPLES)(stylize)
    command("plan", _PLAN_EXAMPLES)(plan)
    command("work", "stylereel work out/.stylereel/job-0123456789abcdef.json")(work)
    command("verify", "stylereel verify out")(verify)


def plan(
    source: Source,
    output: Output,
    model: Model = None,
    frames: Frames = None,
    limit: Limit = None,
    every: Every = 1,
    masks: Masks = None,
    strength: Strength = 1.0,
    style_images: Styles = None,
    style_bank: Bank = None,
    edit: Edit = None,
    direction: Direction = "forward",
    regions: Regions = None,
    elsewhere: Elsewhere = "source",
    precision: Precision = "auto",
    source_space: Space = "auto",
    chunk_frames: Chunk = 64,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """The first half of stylize: read the whole shot, write the job file, print its path."""
    directed = (style_images, style_bank, edit, direction, regions, elsewhere)
    run = (precision, source_space, chunk_frames, device, overwrite)
    stylize_folder.plan_only(request(source, output, model, frames, limit, every, masks, strength, *directed, *run))


def work(
    job: Annotated[Path, typer.Argument(help="From `stylereel plan`.")],
    checksum: Checksum = False,
    as_json: AsJson = False,
) -> None:
    """The second half of stylize: make the frames of a job that are not done."""
    stylize_folder.work_only(job, checksum=checksum, as_json=as_json)


def verify(output: Output) -> None:
    """Check every frame of an output folder against what was written."""
    stylize_folder.verify_output(output)


def request(
    source: str,
    output: Path,
    model: str | None,
    frames: str | None,
    limit: int | None,
    every: int,
    masks: Path | None,
    strength: float,
    style_images: list[str] | None,
    style_bank: Path | None,
    edit: str | None,
    direction: str,
    regions: Path | None,
    elsewhere: str,
    precision: str,
    source_space: str,
    chunk_frames: int,
    device: str,
    overwrite: bool,
) -> Request:
    """A request from the options, with the project's models where the working folder lies in a project.

    Raises:
        UsageError: an option is none of those that it may be.
    """
    from stylegan_core.inference.vocabulary import OWN
    from tasks.stylize import Request
    from tasks.versioning import project_root

    _check_choice("--precision", precision, ("auto", "fp32", "bf16"))
    _check_choice("--direction", direction, ("forward", "backward"))
    _check_choice("--elsewhere", elsewhere, ("source", "style"))
    return Request(
        source=source,
        output=output,
        model=model,
        models=project_root() / "models",
        vocabulary=project_root() / OWN,
        frames=frames,
        every=every,
        limit=limit,
        masks=masks,
        strength=strength,
        precision=precision,  # type: ignore[arg-type]
        source_space=source_space,
        chunk_frames=chunk_frames,
        device=device,
        overwrite=overwrite,
        style_images=tuple(style_images or ()),
        style_bank=style_bank,
        edit=edit,
        direction=direction,  # type: ignore[arg-type]
        regions=regions,
        elsewhere=elsewhere,  # type: ignore[arg-type]
    )


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


def _check_choice(option: str, given: str, known: tuple[str, ...]) -> None:
    from tasks.errors import UsageError

    if given not in known:
        raise UsageError(f"{option} {given} is none of {', '.join(known)}")
