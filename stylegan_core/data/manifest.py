"""The manifest: one row per picture, kept as a CSV file that reads well in a diff."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from stylegan_core.storage.atomic import write_bytes_atomically

COLUMNS: dict[str, str] = {
    "path": "string",
    "sha256": "string",
    "size_bytes": "Int64",
    "width_px": "Int64",
    "height_px": "Int64",
    "domain": "string",
    "shot": "string",
    "frame": "Int64",
    "pair": "string",
    "split": "string",
    "labels": "string",
    "mask": "string",
    "held_out": "string",
    "sample": "Int64",
    "mask_sample": "Int64",
}
"""Columns and pandas types.

``path`` is relative to the project where it lies inside, with forward slashes; ``sha256`` is the file's; ``domain`` is
content, style or truth; ``pair`` is the id that a before and its after share, or empty; ``labels`` are its attributes,
``smiling=1 glasses=0``, or empty; ``mask`` is the path of the mask, or empty; ``held_out`` is the box ``x,y,w,h`` in
pixels that training never sees, or empty; ``sample`` and ``mask_sample`` are indexes in the store, missing for a
picture that is not stored.
"""

DOMAINS = ("content", "style", "truth")
SPLITS = ("train", "validation", "test")


class ManifestError(ValueError):
    """A manifest is missing, damaged, or holds nothing that serves; the message says what to do."""


class Box(NamedTuple):
    """A rectangle in pixels: columns ``x`` to ``x + width``, rows ``y`` to ``y + height``, ends excluded."""

    x: int
    y: int
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.x},{self.y},{self.width},{self.height}"


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
        raise ManifestError(f"{text!r} is no box: expected x,y,w,h in pixels") from error
    return Box(x, y, width, height)


def format_labels(labels: Mapping[str, bool]) -> str:
    """Attributes as the column ``labels`` holds them, ``smiling=1 glasses=0``, in their order."""
    return " ".join(f"{name}={int(value)}" for name, value in labels.items())


def parse_labels(text: str) -> dict[str, bool]:
    """What ``format_labels`` wrote.

    Raises:
        ManifestError: the text is no list of labels.
    """
    labels = {}
    for part in text.split():
        name, found, value = part.rpartition("=")
        if not found or value not in ("0", "1"):
            raise ManifestError(f"{part!r} is no label: expected name=1 or name=0")
        labels[name] = value == "1"
    return labels


def as_manifest(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows with the keys of ``COLUMNS`` (missing ones are empty) as a table in the manifest's order.

    The order is by shot, domain, frame and path, so that it does not depend on the order of the rows.
    """
    filled = [{name: row.get(name, "" if kind == "string" else None) for name, kind in COLUMNS.items()} for row in rows]
    table = pd.DataFrame(filled, columns=list(COLUMNS)).astype(COLUMNS)
    return table.sort_values(["shot", "domain", "frame", "path"], na_position="last", kind="stable", ignore_index=True)


def write_manifest(table: pd.DataFrame, path: Path) -> None:
    """Writes ``table`` as CSV, atomically; equal tables give equal bytes."""
    text = table.to_csv(index=False, lineterminator="\n")
    write_bytes_atomically(path, text.encode())


def read_manifest(path: Path) -> pd.DataFrame:
    """Reads what ``write_manifest`` wrote.

    Raises:
        ManifestError: the file is missing or is no manifest.
    """
    if not path.is_file():
        raise ManifestError(f"{path} does not exist: run the stage prepare first")
    texts = {name for name, kind in COLUMNS.items() if kind == "string"}
    try:
        raw = pd.read_csv(path, dtype=dict.fromkeys(COLUMNS, "string"), keep_default_na=False)
        missing = [name for name in COLUMNS if name not in raw.columns]
        if missing:
            raise ManifestError(f"{path} has no column {missing[0]}: run the stage prepare again")
        raw = raw[list(COLUMNS)]
        table = raw.assign(**{n: raw[n].replace("", pd.NA).astype("Int64") for n in COLUMNS if n not in texts})
    except ManifestError:
        raise
    except (ValueError, TypeError) as error:
        raise ManifestError(f"{path} is no manifest ({error}): run the stage prepare again") from error
    return table.astype(COLUMNS)
