"""Attributes of pictures: read from a table, and given to the sources that they belong to."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from stylegan_core.data.manifest import format_labels
from stylegan_core.data.sources import Source, SourceError, abbreviate

Labels = Mapping[str, Mapping[str, bool]]
"""Attributes by the picture's path below its folder, with or without suffix."""

VALUES = {"1": True, "0": False, "-1": False}
"""What tables write, and what it means."""


def read_labels(path: Path) -> dict[str, dict[str, bool]]:
    """Reads a CSV of labels: a header, then a row a picture; the first column names it, the others are attributes.

    White space in a name of an attribute becomes ``_``.

    Raises:
        FileNotFoundError: there is no such file.
        SourceError: it is no such table; the message names the line.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no table of labels {path}")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return dict(_rows(path, csv.reader(file)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path} is no table of labels: {error}") from error


def label_sources(sources: Sequence[Source], labels: Labels, table: str) -> tuple[list[Source], list[tuple[str, str]]]:
    """The content pictures with their labels; one that has none is refused.

    Args:
        sources: those of other domains stay as they are.
        labels: see there.
        table: where they come from, in words.
    Returns:
        The sources in their order, and warnings (of what, in words) about rows that belong to no picture.
    """
    labelled, used = [], set()
    for source in sources:
        if source.domain != "content":
            labelled.append(source)
            continue
        bare = PurePosixPath(source.name).with_suffix("").as_posix()
        key = next((key for key in (source.name, bare) if key in labels), None)
        if key is None:
            labelled.append(replace(source, refusal=source.refusal or f"has no row in {table}"))
            continue
        used.add(key)
        labelled.append(replace(source, labels=format_labels(labels[key])))
    idle = [key for key in labels if key not in used]
    return labelled, [(table, f"{len(idle)} rows name pictures that are not there: {abbreviate(idle)}")] if idle else []


def _rows(path: Path, rows: Iterator[list[str]]) -> Iterator[tuple[str, dict[str, bool]]]:
    header = [name.strip() for name in next(rows, [])]
    names = ["_".join(name.split()) for name in header[1:]]
    if not names or "" in names or len(set(names)) < len(names):
        raise SourceError(
            f"{path}, line 1: expected the picture's column and then attributes, each named once, between commas "
            f"(got {', '.join(header) or 'nothing'})"
        )
    seen: set[str] = set()
    for line, row in enumerate(rows, 2):
        if not any(cell.strip() for cell in row):
            continue
        cells = [cell.strip() for cell in row]
        if len(cells) != len(header):
            raise SourceError(f"{path}, line {line}: {len(cells)} cells, but the header has {len(header)}")
        if wrong := [cell for cell in cells[1:] if cell not in VALUES]:
            raise SourceError(f"{path}, line {line}: {wrong[0]!r} is no label: write 1, and 0 or -1")
        key = PurePosixPath(cells[0].replace("\\", "/")).as_posix()
        if key in seen:
            raise SourceError(f"{path}, line {line}: {key} has two rows")
        seen.add(key)
        yield key, dict(zip(names, (VALUES[cell] for cell in cells[1:]), strict=True))
