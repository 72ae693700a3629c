"""``stylereel export``, a model for other programs, and ``style-bank``, a model's codes of references."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

_EXAMPLES = """
stylereel export models/all harbour.onnx
stylereel export models:/stylereel.harbour.all@promoted harbour.onnx
stylereel export cyclegan photo.onnx --direction backward
"""

_BANK_EXAMPLES = """
stylereel style-bank models/all paintings banks/monet
stylereel stylize photos out --style-bank banks/monet --style-image dusk.jpg --style-image sea.jpg:0.3
"""


def register(command: Callable[..., Callable[[Callable[..., object]], object]]) -> None:
    """Adds the commands, by the command line's own decorator."""
    command("export", _EXAMPLES)(export)
    command("style-bank", _BANK_EXAMPLES)(style_bank)


def export(
    model: Annotated[str, typer.Argument(help="A model folder, the name of one in models/, or models:/NAME@ALIAS.")],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="The file to write, ending in .onnx.")],
    direction: Annotated[str, typer.Option(help="forward or backward, for models that go both ways.")] = "forward",
) -> None:
    """Write a model as ONNX, proved equal to the model at several sizes; OUTPUT's .json says what goes in and out.

    Height and width are free, in multiples of 8 from 32 on.
    """
    from tasks.errors import UsageError
    from tasks.export import export_model
    from tasks.versioning import project_root

    if direction not in ("forward", "backward"):
        raise UsageError(f"--direction {direction} is none of forward, backward")
    made = export_model(model, project_root() / "models", output, direction=direction)  # type: ignore[arg-type]
    sides = made.card["sides_px"]
    typer.echo(f"{made.file}: inputs {', '.join(made.card['inputs'])}; described in {made.card_file}")
    typer.echo(
        f"sides are multiples of {sides['multiple_of']} px, {sides['least']} or more; "
        f"it differs from the model by {made.card['largest_difference_to_torch']:g} at most"
    )


def style_bank(
    model: Annotated[str, typer.Argument(help="A model folder, the name of one in models/, or models:/NAME@ALIAS.")],
    pictures: Annotated[Path, typer.Argument(metavar="PICTURES", help="A folder of references.")],
    output: Annotated[Path, typer.Argument(metavar="BANK", help="The folder to write.")],
) -> None:
    """Compute a model's codes of a folder of references once, for `stylereel stylize --style-bank`."""
    from tasks.style_bank import make_style_bank
    from tasks.versioning import project_root

    bank = make_style_bank(model, project_root() / "models", pictures, output)
    typer.echo(f"{output}: {len(bank.names)} references")
