"""report.json of the prepared data: what was found, stored and refused, with reasons."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

REPORT_NAME = "report.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class RefusedPicture(_Part):
    """A picture that did not become data.

    Attributes:
        path: as in the manifest.
        reason: in words.
    """

    path: str
    reason: str


class PictureWarning(_Part):
    """A warning about a picture that was used, or about a group of pictures.

    Attributes:
        path: as in the manifest, or the group.
        warning: in words.
    """

    path: str
    warning: str


class GroupReport(_Part):
    """Counts of a listed folder or of a role in a shot.

    Attributes:
        found: listed pictures.
        refused: pictures that did not become data.
        stored: pictures in the store.
        splits: rows of the manifest by split.
        colour: rows of the manifest by how their colours were read.
    """

    found: int
    refused: int
    stored: int
    splits: Mapping[str, int]
    colour: Mapping[str, int]


class PrepareReport(_Part):
    """The content of report.json.

    Attributes:
        working_space: of the store.
        sample_type: of the store.
        pictures: number found.
        stored: number stored.
        groups: by name of the group.
        refused: by path.
        warnings: by path.
    """

    working_space: str = ""
    sample_type: str = ""
    pictures: int = 0
    stored: int = 0
    groups: Mapping[str, GroupReport] = {}
    refused: tuple[RefusedPicture, ...] = ()
    warnings: tuple[PictureWarning, ...] = ()

    def text(self) -> str:
        """The content of the file; equal reports give equal text."""
        return json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def read_prepare_report(prepared: Path) -> PrepareReport:
    """The report in a folder of prepared data; an empty one if there is no file."""
    path = prepared / REPORT_NAME
    return PrepareReport.model_validate_json(path.read_bytes()) if path.is_file() else PrepareReport()
