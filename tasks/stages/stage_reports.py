"""The report.json files of the stages prepare and stylize, typed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

REPORT_NAME = "report.json"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class FailedInput(_Entry):
    """An input that a stage refused or could not process.

    Attributes:
        path: as the stage displays it.
        reason: in words.
    """

    path: str
    reason: str


class InputWarning(_Entry):
    """A warning about an input that was used all the same."""

    path: str
    warning: str


class PrepareReport(_Entry):
    """What later stages read of prepare's report."""

    refused: tuple[FailedInput, ...] = ()
    warnings: tuple[InputWarning, ...] = ()


class ItemReport(_Entry):
    """The stylize stage's report of one shot or folder; equal work gives equal bytes.

    Attributes:
        model: digest.
        training: name of the model's folder.
        recipe: of the model.
        strength: of the stylization, from 0.
        asked: strength, references, edits and regions in words, by their name.
        precision: of the network.
        frames: number of inputs.
        failed: inputs without an output.
        movie: file name of the preview; None if there is none.
    """

    model: str = ""
    training: str = ""
    recipe: str = ""
    strength: float = 1.0
    asked: dict[str, str] = {}
    precision: str = ""
    frames: int = 0
    failed: tuple[FailedInput, ...] = ()
    movie: str | None = None


def read_prepare_report(prepared: Path) -> PrepareReport:
    """The report of prepare; an empty one if there is no file."""
    path = prepared / REPORT_NAME
    return PrepareReport.model_validate_json(path.read_bytes()) if path.is_file() else PrepareReport()


def read_stylize_report(stylized: Path) -> dict[str, ItemReport]:
    """The reports of the stylize stage by shot or folder; empty if there is no file."""
    path = stylized / REPORT_NAME
    document = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {name: ItemReport.model_validate(item) for name, item in document.items()}


def stylize_report_text(items: Mapping[str, ItemReport]) -> str:
    """The content of the stylize stage's report.json."""
    document = {name: item.model_dump(mode="json") for name, item in items.items()}
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
