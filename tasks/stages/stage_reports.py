"""report.json of the stylize stage: what each shot or folder was made with, and what failed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

REPORT_NAME = "report.json"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class FailedInput(_Entry):
    """An input that the stage could not process.

    Attributes:
        path: as the stage shows it.
        reason: in words.
    """

    path: str
    reason: str


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


def read_stylize_report(stylized: Path) -> dict[str, ItemReport]:
    """The reports of the stylize stage by shot or folder; empty if there is no file."""
    path = stylized / REPORT_NAME
    document = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {name: ItemReport.model_validate(item) for name, item in document.items()}


def stylize_report_text(items: Mapping[str, ItemReport]) -> str:
    """The content of the stylize stage's report.json."""
    document = {name: item.model_dump(mode="json") for name, item in items.items()}
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
