"""Commands that derive something from a model: ``export`` (ONNX, OpenVINO), ``distill``, ``style-bank``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

_EXAMPLES = """
stylereel export models/all harbour.onnx
stylereel export models:/stylereel.harbour.all@promoted harbour.onnx
stylereel export cyclegan photo.onnx --direction backward
stylereel export models/all harbour.xml --precision bf16
stylereel export models/all harbour8.onnx --precision int8 --calibrate plates --test others
"""

_DISTILL_EXAMPLES = """
stylereel distill models/all plates models/small
stylereel distill models/all plates models/phone --channels 8 --blocks 2 --steps 14000
"""

_BANK_EXAMPLES = """
stylereel style-bank models/all paintings banks/monet
stylereel stylize photos out --style-bank banks/monet --style-image dusk.jpg --style-image sea.jpg:0.3
"""


def register(command: Callable[..., Callable[[Callable[..., object]], object]]) -> None:
    """Registers the commands with the decorator of the command line."""
    command("export", _EXAMPLES)(export)
    command("distill", _DISTILL_EXAMPLES)(distill)
    command("style-bank", _BANK_EXAMPLES)(style_bank)


def export(
    model: Annotated[str, typer.Argument(help="A model folder, the name of one in models/, or models:/NAME@ALIAS.")],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="The file to write: .onnx, or .xml for OpenVINO.")],
    direction: Annotated[
        str, typer.Option(help="forward or backward, for models that translate both ways.")
    ] = "forward",
    precision: Annotated[
        str, typer.Option(help="fp32; fp16 or bf16: 2 bytes a weight; int8: 1 byte, see --calibrate.")
    ] = "fp32",
    calibrate: Annotated[
        Path | None,
        typer.Option(help="A folder of your pictures to calibrate int8 with; half are held out to test it."),
    ] = None,
    test: Annotated[
        Path | None, typer.Option(help="A folder of other pictures to test with, in addition to built-in photographs.")
    ] = None,
    accept_loss: Annotated[
        float, typer.Option(help="Minimum PSNR to the model, in dB, of a reduced precision.")
    ] = 50.0,
) -> None:
    """Export a model for other programs, tested against the model; OUTPUT's .json describes inputs and outputs.

    Height and width are variable, multiples of 8 from 32 px. An export that differs from the model by more than 1e-4
    in fp32, or has less than 50 dB PSNR in another precision, is not written.
    """
    from stylegan_core.inference.export.formats import EXPORT_PRECISIONS
    from tasks.models.export import export_model
    from tasks.shared.errors import UsageError
    from tasks.shared.versioning import project_root

    if direction not in ("forward", "backward"):
        raise UsageError(f"--direction {direction}: expected forward or backward")
    if precision not in EXPORT_PRECISIONS:
        raise UsageError(f"--precision {precision}: expected one of {', '.join(EXPORT_PRECISIONS)}")
    made = export_model(
        model,
        project_root() / "models",
        output,
        direction=direction,  # type: ignore[arg-type]
        precision=precision,
        calibrate=calibrate,
        test=test,
        accept_loss_db=accept_loss,
    )
    card = made.card
    typer.echo(
        f"{made.file}: {card.precision}, {card.bytes / 1e6:.2f} MB, inputs {', '.join(card.inputs)}; "
        f"described in {made.card_file}"
    )
    psnr_db, difference = card.psnr_to_torch_db, card.largest_difference_to_torch_on_pictures
    loss = "" if psnr_db is None else f", {psnr_db:.1f} dB PSNR on the worst"
    typer.echo(
        f"sides are multiples of {card.sides_px.multiple_of} px, {card.sides_px.least} or more; on "
        f"{card.pictures_tested} pictures it differs from the model by {difference:g} at most{loss}"
    )


def distill(
    model: Annotated[str, typer.Argument(help="The teacher: a model folder, the name of one, or models:/NAME@ALIAS.")],
    pictures: Annotated[Path, typer.Argument(metavar="PICTURES", help="A folder of pictures like those to stylize.")],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="The student's model folder, a new one.")],
    *,
    channels: Annotated[int, typer.Option(min=4, help="Channels of the student's first layer.")] = 12,
    blocks: Annotated[int, typer.Option(min=1, help="Residual blocks of the student.")] = 3,
    half: Annotated[bool, typer.Option(help="Work on 2 x 2 px cells: a quarter of the cost.")] = True,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Of training; default: 7000, about 3 minutes on two idle cores.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(hidden=True)] = None,
) -> None:
    """Train a small model on the outputs of a large one; every sixth picture is held out to measure it on."""
    from tasks.models.distill import DEFAULT_STEPS, distill_model
    from tasks.shared.errors import UsageError
    from tasks.shared.versioning import project_root

    if minutes is not None:
        raise UsageError("--minutes was replaced: pass --steps, 7000 takes about 3 minutes on two idle cores")
    with typer.progressbar(length=1000, label="learning", file=sys.stderr) as bar:
        made = distill_model(
            model,
            project_root() / "models",
            pictures,
            output,
            channels=channels,
            blocks=blocks,
            half_resolution=half,
            steps=DEFAULT_STEPS if steps is None else steps,
            progress=lambda share: bar.update(int(1000 * share) - bar.pos),
        )
    student, share = made.student, made.parameters / made.teacher_parameters
    typer.echo(
        f"{output}: {made.parameters:,} weights, {100 * share:.2g} % of the teacher's, after "
        f"{student.config.budget_steps} steps on {made.training_pictures} pictures"
    )
    typer.echo(
        f"on {made.held_out_pictures} others: {student.psnr_db:.1f} dB PSNR to the teacher, patch SWD "
        f"{student.swd:.4f} (untouched pictures: {student.swd_unstylized:.4f})"
    )


def style_bank(
    model: Annotated[str, typer.Argument(help="A model folder, the name of one in models/, or models:/NAME@ALIAS.")],
    pictures: Annotated[Path, typer.Argument(metavar="PICTURES", help="A folder of reference pictures.")],
    output: Annotated[Path, typer.Argument(metavar="BANK", help="The folder to write.")],
) -> None:
    """Encode a folder of reference pictures once, for `stylereel stylize --style-bank`."""
    from tasks.models.style_bank import make_style_bank
    from tasks.shared.versioning import project_root

    bank = make_style_bank(model, project_root() / "models", pictures, output)
    typer.echo(f"{output}: {len(bank.names)} references")
