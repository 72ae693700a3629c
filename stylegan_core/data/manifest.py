"""manifest.csv: one typed row per picture of the prepared data, in a CSV file that reads well in a diff."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

from stylegan_core.storage.atomic import write_bytes_atomically


class ManifestError(ValueError):
    """A manifest is missing or damaged, or holds nothing to train on; the message says what to do."""


class Box(NamedTuple):
    """A rectangle in pixels: columns ``x`` to ``x + width``, rows ``y`` to ``y + height``, ends excluded."""

    x: int
    y: int
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.x},{self.y},{self.width},{self.height}"


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """A picture of the prepared data; the fields are the columns of manifest.csv, in their order.

    Attributes:
        path: relative to the project where it lies inside, with forward slashes.
        sha256: of the file.
        size_bytes: of the file.
        width_px: after EXIF orientation, and of the samples.
        height_px: after EXIF orientation, and of the samples.
        domain: "content", "style" or "truth".
        shot: name of its shot, or empty.
        frame: number in its shot, or None.
        pair: id that a content picture shares with its style picture, or empty.
        split: "train", "validation" or "test".
        labels: its attributes as ``format_labels`` writes them, or empty.
        mask: path of its mask, or empty.
        held_out: area that training never sees, or None.
        sample: index in the store; None for a picture that is not stored.
        mask_sample: index of its mask in the store, or None.
    """

    path: str
    sha256: str = ""
    size_bytes: int = 0
    width_px: int = 0
    height_px: int = 0
    domain: str = ""
    shot: str = ""
    frame: int | None = None
    pair: str = ""
    split: str = ""
    labels: str = ""
    mask: str = ""
    held_out: Box | None = None
    sample: int | None = None
    mask_sample: int | None = None


Manifest = tuple[ManifestRow, ...]
"""Rows in the order of ``as_manifest``."""

_COLUMNS = tuple(field.name for field in fields(ManifestRow))


def as_manifest(rows: Iterable[ManifestRow]) -> Manifest:
    """The rows ordered by shot, domain, frame (rows without one last) and path, whatever their order was."""
    return tuple(sorted(rows, key=sort_key))


def sort_key(row: ManifestRow) -> tuple[str, str, float, str]:
    """The key of the order of ``as_manifest``."""
    return row.shot, row.domain, math.inf if row.frame is None else row.frame, row.path


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Writes manifest.csv atomically; equal manifests give equal bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in manifest:
        values = (getattr(row, name) for name in _COLUMNS)
        writer.writerow("" if value is None else str(value) for value in values)
    write_bytes_atomically(path, text.getvalue().encode())


def read_manifest(path: Path) -> Manifest:
    """Reads what ``write_manifest`` wrote.

    Raises:
        ManifestError: the file is missing, lacks a column, or has a value that does not parse.
    """
    if not path.is_file():
        raise ManifestError(f"{path} does not exist: run the stage prepare first")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, restval="")
        try:
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            rows = () if missing else tuple(_parse_row(cells) for cells in reader)
        except (ValueError, csv.Error) as error:
            raise ManifestError(f"{path}, line {reader.line_num}: {error}: run the stage prepare again") from error
    if missing:
        raise ManifestError(f"{path} has no column {missing[0]}: run the stage prepare again")
    return rows


def _parse_row(cells: Mapping[str, str]) -> ManifestRow:
    return ManifestRow(
        path=cells["path"],
        sha256=cells["sha256"],
        size_bytes=int(cells["size_bytes"] or 0),
        width_px=int(cells["width_px"] or 0),
        height_px=int(cells["height_px"] or 0),
        domain=cells["domain"],
        shot=cells["shot"],
        frame=_optional_int(cells["frame"]),
        pair=cells["pair"],
        split=cells["split"],
        labels=cells["labels"],
        mask=cells["mask"],
        held_out=parse_box(cells["held_out"]),
        sample=_optional_int(cells["sample"]),
        mask_sample=_optional_int(cells["mask_sample"]),
    )


def _optional_int(text: str) -> int | None:
    return int(text) if text else None


def parse_box(text: str) -> Box | None:
    """``"x,y,w,h"`` as a box; empty is None.

    Raises:
        ManifestError: the text is neither.
    """
    if not text:
        return None
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError as error:
        raise ManifestError(f"expected a box x,y,w,h in pixels, got {text!r}") from error
    return Box(x, y, width, height)


def format_labels(labels: Mapping[str, bool]) -> str:
    """Attributes as text for the column ``labels``: ``smiling=1 glasses=0``, in their order."""
    return " ".join(f"{name}={int(value)}" for name, value in labels.items())


def parse_labels(text: str) -> dict[str, bool]:
    """Attributes from the text that ``format_labels`` wrote.

    Raises:
        ManifestError: a part of the text is not name=1 or name=0.
    """
    labels = {}
    for part in text.split():
        name, found, value = part.rpartition("=")
        if not found or value not in ("0", "1"):
            raise ManifestError(f"expected a label name=1 or name=0, got {part!r}")
        labels[name] = value == "1"
    return labels
