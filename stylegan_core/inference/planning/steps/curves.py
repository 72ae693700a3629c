"""The planner's step for curves: strength and weights of references over frames, from the keys of a CSV file."""

from __future__ import annotations

import csv
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stylegan_core.inference.job.frame_settings import Conditioning, StyleReference
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.plan import Draft
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.stylize_settings import RenderSettings

if TYPE_CHECKING:
    from stylegan_core.recipes.model import Model

_MAX_STRENGTH = 2.0

Keys = tuple[tuple[int, float], ...]
"""Keys of a curve: frame numbers, ascending, each with its value."""


@dataclass(frozen=True)
class Curves:
    """The curves of a CSV file.

    Attributes:
        strength: keys of the strength; empty: all frames have the job's.
        weights: keys of the weight of each reference, by the name of its column.
    """

    strength: Keys = ()
    weights: Mapping[str, Keys] = field(default_factory=dict)

    def strength_at(self, number: int) -> float | None:
        """The strength of a frame; None is the job's."""
        return value_at(self.strength, number) if self.strength else None

    def weights_at(self, number: int, conditioning: Conditioning) -> tuple[float, ...] | None:
        """The weights of a frame's references, in the job's order, summing to 1; None are the job's.

        A reference without a column keeps its weight.

        Raises:
            PlanError: all of them are 0, or a column names no reference of the job.
        """
        if not self.weights:
            return None
        columns = {column: _reference(column, conditioning) for column in self.weights}
        weights = [style.weight for style in conditioning.styles]
        for column, at in columns.items():
            weights[at] = value_at(self.weights[column], number)
        total = sum(weights)
        if total <= 0:
            raise PlanError(f"at frame {number} the curve gives all references the weight 0: one must be above 0")
        return tuple(round(weight / total, 9) for weight in weights)


def plan_curves(draft: Draft, _model: Model, render: RenderSettings) -> Draft:
    """Gives each frame the strength and the weights that the curves have at its number.

    With regions, the strength is a factor of all of them.

    Args:
        draft: with its conditioning.
        render: with the curve's file.

    Raises:
        PlanError: the file is wrong, or a frame has no number.
    """
    job = draft.job
    if render.curve is None:
        return draft
    curves = read_curves(render.curve)
    if curves.weights and job.settings.regions:
        raise PlanError(f"{render.curve} has weights of references, but regions support only the column strength")
    if curves.strength and job.settings.strength != 1 and not job.settings.regions:
        raise PlanError(f"{render.curve} sets the strength of every frame: remove --strength")
    frames = [_apply(frame, curves, job.settings.directions, render.curve) for frame in job.frames]
    return draft.with_job(job.model_copy(update={"frames": tuple(frames)}))


def _apply(frame: FrameTask, curves: Curves, conditioning: Conditioning, file: Path) -> FrameTask:
    if frame.number is None:
        raise PlanError(f"the curve {file} requires frame numbers, and {frame.input} has none")
    overrides: dict[str, object] = {"style_weights": curves.weights_at(frame.number, conditioning)}
    if frame.strength is None:  # else it has no mask and nothing of it is stylized
        overrides["strength"] = curves.strength_at(frame.number)
    return frame.model_copy(update=overrides)


def value_at(keys: Keys, number: int) -> float:
    """Linear between keys, held before the first and after the last.

    Args:
        keys: at least one.
        number: of a frame.
    """
    after = bisect_right(keys, number, key=lambda key: key[0])
    if after in (0, len(keys)):
        return keys[max(0, after - 1)][1]
    (left, low), (right, high) = keys[after - 1], keys[after]
    return low + (high - low) * ((number - left) / (right - left))


def read_curves(path: Path) -> Curves:
    """Reads a CSV file with the columns frame, strength and names of references, all but the first optional.

    An empty cell adds no key to its column. Lines that start with # are comments; a semicolon is a separator too.

    Raises:
        PlanError: the file is missing, or a cell is wrong; names it.
    """
    lines = _read_lines(path)
    separator = ";" if ";" in lines[0][1] and "," not in lines[0][1] else ","
    rows = list(csv.reader((line for _, line in lines), delimiter=separator, skipinitialspace=True))
    columns = _column_names(rows[0], path)
    keys: dict[str, dict[int, float]] = {name: {} for name in columns[1:]}
    for (line, _), row in zip(lines[1:], rows[1:], strict=True):
        where = f"{path}, line {line}"
        if len(row) > len(columns):
            raise PlanError(f"{where}: it has {len(row)} cells for {len(columns)} columns")
        number = _frame(row[0], where)
        for name, cell in zip(columns[1:], row[1:], strict=False):
            if not cell.strip():
                continue
            if number in keys[name]:
                raise PlanError(f"{where}: frame {number} already has a value of {name}")
            keys[name][number] = _value(cell, name, where)
    if empty := [name for name, found in keys.items() if not found]:
        raise PlanError(f"{path}: the column {empty[0]} has no value")
    sorted_keys = {name: tuple(sorted(found.items())) for name, found in keys.items()}
    strength = sorted_keys.pop("strength", ())
    return Curves(strength, sorted_keys)


def _read_lines(path: Path) -> list[tuple[int, str]]:
    """Lines without comments and empty ones, each with its number."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"the curve {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    lines = [(at, line) for at, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
    if not lines:
        raise PlanError(f"{path} is empty: a curve has the columns frame,strength and a row for each key")
    return lines


def _column_names(row: Sequence[str], path: Path) -> list[str]:
    columns = [name.strip() for name in row]
    if columns[0] != "frame" or len(columns) < 2:
        raise PlanError(f"{path}: the first row must name the columns: frame, then strength or references")
    if repeated := sorted({name for name in columns if columns.count(name) > 1 or not name}):
        raise PlanError(f"{path}: every column needs its own name, but {repeated[0]!r} is empty or repeated")
    return columns


def _frame(cell: str, where: str) -> int:
    try:
        return int(cell)
    except ValueError:
        raise PlanError(f"{where}: {cell!r} is not a frame number") from None


def _value(cell: str, name: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        raise PlanError(f"{where}: {cell!r} is not a number for {name}") from None
    largest = _MAX_STRENGTH if name == "strength" else math.inf
    if not 0 <= value <= largest or not math.isfinite(value):
        limits = f"0 to {largest:g}" if name == "strength" else "0 or more"
        raise PlanError(f"{where}: {name} is {cell.strip()}, but must be {limits}")
    return value


def _reference(column: str, conditioning: Conditioning) -> int:
    """Index of the reference that a column names: by its name in the bank, its file name, or that without suffix."""
    known = [_names(style) for style in conditioning.styles]
    found = [at for at, names in enumerate(known) if column in names]
    if len(found) == 1:
        return found[0]
    if found:
        raise PlanError(f"the curve's column {column} matches {len(found)} references: add the suffixes of their files")
    references = ", ".join(names[0] for names in known) or "none: name them with --style-image"
    raise PlanError(f"the curve has a column {column}, but the references are {references}")


def _names(style: StyleReference) -> Sequence[str]:
    if style.name is not None:
        return (style.name,)
    return (style.path.name, style.path.stem, str(style.path))
