"""Reads attributes of pictures from a table and assigns them to sources."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from stylegan_core.data.manifest import format_labels
from stylegan_core.data.sources import Source, SourceError, abbreviate

Labels = Mapping[str, Mapping[str, bool]]
"""Attributes by the path of a picture below its folder, with or without suffix."""

VALUES = {"1": True, "0": False, "-1": False}
"""Values in tables and their meaning."""


def read_labels(path: Path) -> dict[str, dict[str, bool]]:
    """Reads a CSV of labels: a header, then a row per picture; the first column is its path, the others are attributes.

    White space in a name of an attribute becomes ``_``.

    Raises:
        FileNotFoundError: there is no such file.
        SourceError: the file is not such a table; the message names the line.
    """
    if not path.is_file():
        raise FileNotFoundError(f"the table of labels {path} does not exist")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return dict(_rows(path, csv.reader(file)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"cannot read the table of labels {path}: {error}") from error


def label_sources(sources: Sequence[Source], labels: Labels, table: str) -> tuple[list[Source], list[tuple[str, str]]]:
    """The sources with labels on content pictures; a content picture without labels is refused.

    Args:
        sources: those of other domains do not change.
        labels: see there.
        table: name of the table, for messages.
    Returns:
        The sources in their order, and warnings (path, in words) about rows without a picture.
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
            f"{path}, line 1: expected the picture's column and then attributes, each named once, separated by commas "
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
            raise SourceError(f"{path}, line {line}: {wrong[0]!r} is not a label: write 1, and 0 or -1")
        key = PurePosixPath(cells[0].replace("\\", "/")).as_posix()
        if key in seen:
            raise SourceError(f"{path}, line {line}: {key} has two rows")
        seen.add(key)
        yield key, dict(zip(names, (VALUES[cell] for cell in cells[1:]), strict=True))
