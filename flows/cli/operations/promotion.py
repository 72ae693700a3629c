"""``stylereel promote`` and ``stylereel rollback``: the promoted model, by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.project import project_folder

_PROMOTE_EXAMPLES = """
stylereel promote                        (the last trained model, though the gate refused it)
stylereel promote harbour                (of several trainings)
stylereel promote harbour --version 7    (of MLflow's registry)
stylereel promote harbour --version 3f9a21c0
"""
_ROLLBACK_EXAMPLES = """
stylereel rollback
stylereel rollback harbour
"""

Training = Annotated[
    str | None, typer.Argument(metavar="TRAINING", help="A shot's name, or all. Default: the only training.")
]


def register(command: Callable[[str, str], Callable[[Callable[..., object]], object]]) -> None:
    """Registers the commands with the decorator of the command line, which takes a name and examples."""
    command("promote", _PROMOTE_EXAMPLES)(promote)
    command("rollback", _ROLLBACK_EXAMPLES)(rollback)


def promote(
    training: Training = None,
    version: Annotated[
        str | None,
        typer.Option(
            help="A version's number, or the first digits of a model's digest. Default: the model in models/."
        ),
    ] = None,
) -> None:
    """Promote a model by hand, without a comparison: work on demand uses it, and the gate compares with it.

    The decision is recorded with the model's version in MLflow and in .stylereel/promotions.jsonl.
    """
    from tasks.promotion.promote import known_comparison, promote_by_hand

    root = project_folder()
    name = _training(root, training)
    if text := known_comparison(root, name, version):
        typer.echo(f"The last decision about this model:\n\n{text}\n")
    decision = promote_by_hand(root, name, version)
    if decision.outcome == "unchanged":
        typer.echo(f"{name}: {decision.digest[:16]} is the promoted model already")
        return
    before = f", in place of {decision.compared_with[:16]}" if decision.compared_with else ""
    typer.echo(f"{name}: promoted {decision.digest[:16]}{before}")


def rollback(training: Training = None) -> None:
    """Promote the model again that was promoted before the present one.

    The gate does not promote the model that was rolled back again; `stylereel promote` does. Frames in out/stylized
    are not changed.
    """
    from tasks.promotion.promote import rollback as roll_back

    root = project_folder()
    name = _training(root, training)
    decision, now_promoted = roll_back(root, name)
    typer.echo(
        f"{name}: rolled back {decision.digest[:16]}; promoted is version {now_promoted.number} "
        f"({now_promoted.digest[:16]})\nout/stylized has the frames of earlier runs of the pipeline."
    )


def _training(root: Path, given: str | None) -> str:
    """The training that an argument names.

    Raises:
        UsageError: there is none of this name, or several without an argument.
    """
    from stylegan_core.config import load_params
    from tasks.shared.errors import UsageError

    names = [training.name for training in load_params(root / "params.yaml").trainings()]
    if given is None and len(names) == 1:
        return names[0]
    if given not in names:
        what = "name a training" if given is None else f"there is no training {given}"
        raise UsageError(f"{what}; those of params.yaml are: {', '.join(names)}")
    return given
