"""Selects what a model is evaluated on: pictures of the manifest that training did not see, and their truth."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from stylegan_core.data.manifest import Manifest, ManifestRow

_log = logging.getLogger(__name__)

Item = TypeVar("Item")

_TUNING_PICTURES = 4
_STYLE_PICTURES = 16


@dataclass(frozen=True)
class Still:
    """One picture to evaluate.

    Attributes:
        name: in tables.
        content: the content picture.
        frame: number in its shot; None for a picture of a collection.
        truth: its painted version, which training never saw; None where it is not known.
        style: the style frame of a key frame, which is not evaluated, but part of the shot; None for other pictures.
    """

    name: str
    content: Path
    frame: int | None = None
    truth: Path | None = None
    style: Path | None = None

    @property
    def evaluated(self) -> bool:
        """Whether training saw no painted version of it."""
        return self.style is None


@dataclass(frozen=True)
class Subject:
    """Pictures that are evaluated together.

    Attributes:
        name: the shot's, or "pictures".
        kind: "shot", "pairs" or "collection".
        stills: in the order of their frames or names.
        tuning: (content, style) paths of training pictures, to tune filters on; style is None without pairs.
        key_frames: numbers of the shot's style frames.
        styles: paths of training pictures of the style.
        motion: path of the true motion, or None.
    """

    name: str
    kind: str
    stills: tuple[Still, ...]
    tuning: tuple[tuple[Path, Path | None], ...]
    key_frames: tuple[int, ...]
    styles: tuple[Path, ...]
    motion: Path | None = None


def find_subjects(
    manifest: Manifest,
    prepared: Path,
    *,
    root: Path = Path(),
    shots: Collection[str] = (),
    paired: bool = True,
    every: int = 1,
    max_pictures: int = 64,
) -> list[Subject]:
    """The subjects of one model.

    Shots are always evaluated, pairs that belong to no shot only where there is no shot, and collections only for a
    model that learned from them.

    Args:
        manifest: see ``data.manifest``.
        prepared: folder of the prepared data, for shots.json.
        root: what relative paths in the manifest are relative to.
        shots: the shots that the model is for; empty is all.
        paired: the model learned from pairs.
        every: evaluate every ``every``-th frame of a shot.
        max_pictures: of a collection, evenly spread.
    """
    shot_files = _shot_files(prepared)
    names = [name for name in sorted({row.shot for row in manifest} - {""}) if not shots or name in shots]
    found = [_shot([row for row in manifest if row.shot == name], name, root, shot_files, every) for name in names]
    free = [row for row in manifest if not row.shot and not shots]
    if not names:
        found.append(_pairs([row for row in free if row.pair], root, max_pictures))
    if not paired or not names:
        found.append(_collection([row for row in free if not row.pair], root, max_pictures))
    return [subject for subject in found if subject.stills]


def _shot(
    rows: Sequence[ManifestRow], name: str, root: Path, shot_files: dict[str, dict[str, str | None]], every: int
) -> Subject:
    content, style, truth = (_by_frame(rows, domain, root) for domain in ("content", "style", "truth"))
    stills = tuple(Still(path.name, path, frame, truth.get(frame), style.get(frame)) for frame, path in content.items())
    motion = shot_files.get(name, {}).get("motion")
    tuning = [(content[frame], path) for frame, path in style.items() if frame in content]
    return Subject(
        name,
        "shot",
        stills[::every],
        tuple(spread(tuning, _TUNING_PICTURES)),
        tuple(style),
        tuple(spread(list(style.values()), _STYLE_PICTURES)),
        root / motion if motion else None,
    )


def _pairs(rows: Sequence[ManifestRow], root: Path, max_pictures: int) -> Subject:
    content, style = ({row.pair: row for row in rows if row.domain == domain} for domain in ("content", "style"))
    both = [pair for pair in sorted(content) if pair in style]
    tested = _held_out(both, {pair: content[pair].split for pair in both}, "pairs")
    trained = [pair for pair in both if content[pair].split == "train"]
    return Subject(
        "pictures",
        "pairs",
        tuple(
            Still(content[pair].path, root / content[pair].path, truth=root / style[pair].path)
            for pair in spread(tested, max_pictures)
        ),
        tuple((root / content[pair].path, root / style[pair].path) for pair in spread(trained, _TUNING_PICTURES)),
        (),
        tuple(root / style[pair].path for pair in spread(trained, _STYLE_PICTURES)),
    )


def _collection(rows: Sequence[ManifestRow], root: Path, max_pictures: int) -> Subject:
    split = {row.path: row.split for row in rows if row.domain == "content"}
    tested = _held_out(sorted(split), split, "content pictures")
    trained = [path for path in sorted(split) if split[path] == "train"]
    styles = sorted(row.path for row in rows if row.domain == "style" and row.split == "train")
    return Subject(
        "pictures",
        "collection",
        tuple(Still(path, root / path) for path in spread(tested, max_pictures)),
        tuple((root / path, None) for path in spread(trained, _TUNING_PICTURES)),
        (),
        tuple(root / path for path in spread(styles, _STYLE_PICTURES)),
    )


def _held_out(names: Sequence[str], split: dict[str, str], what: str) -> list[str]:
    """The names of the split test; where a small set has none, those of validation, or else of train."""
    for part in ("test", "validation", "train"):
        chosen = [name for name in names if split[name] == part]
        if chosen:
            if part != "test":
                _log.warning("no %s in the split test: evaluating on %d of the split %s", what, len(chosen), part)
            return chosen
    return []


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most ``count`` of ``items``, evenly spread, the first and the last among them if ``count`` is over 1."""
    if len(items) <= count:
        return list(items)
    if count == 1:
        return [items[len(items) // 2]]
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]


def _by_frame(rows: Sequence[ManifestRow], domain: str, root: Path) -> dict[int, Path]:
    """Paths of a domain by frame number, in the numbers' order."""
    found = {row.frame: root / row.path for row in rows if row.domain == domain and row.frame is not None}
    return dict(sorted(found.items()))


def _shot_files(prepared: Path) -> dict[str, dict[str, str | None]]:
    path = prepared / "shots.json"
    found: dict[str, dict[str, str | None]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found
