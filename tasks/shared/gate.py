"""The absolute bar of the promotion gate: a model must come nearer to the style than the untouched input."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_GATE_METRICS = ("truth/swd", "style/swd")
"""Distances to the wanted style, most reliable first; each is compared with that of the untouched input."""
_KINDS = ("shot", "pairs", "collection")


class GateError(RuntimeError):
    """A model is not good enough to be promoted, or cannot be; the message holds the figures and what to do."""


@dataclass(frozen=True)
class Distance:
    """A model's distance to the style on one subject.

    Attributes:
        metric: "truth/swd", or "style/swd" where no truth is known.
        reached: of the model's results.
        untouched: of the input.
    """

    metric: str
    reached: float
    untouched: float

    def within(self, max_swd_ratio: float) -> bool:
        """Whether it is below ``max_swd_ratio`` times that of the untouched input."""
        return self.reached < max_swd_ratio * self.untouched

    def describe(self, max_swd_ratio: float) -> str:
        """The comparison in one line."""
        limit = f"the limit {max_swd_ratio:g} x {self.untouched:.4g} (untouched input)"
        return f"{self.metric} is {self.reached:.4g}, {limit}"


def read_distances(metrics_file: Path) -> dict[str, Distance]:
    """The distances that evaluate wrote, by the name of the shot or collection.

    Args:
        metrics_file: reports/metrics.json.

    Returns:
        With a single subject, whose name is not in the file, it is called "".

    Raises:
        GateError: a figure is missing or not finite.
    """
    try:
        figures = json.loads(metrics_file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GateError(f"{metrics_file} cannot be read: {error}") from error
    wrong = [name for name, value in figures.items() if not _is_finite(value)]
    if wrong:
        raise GateError(f"figures that are not finite: {', '.join(sorted(wrong))}")
    found = {
        prefix.rpartition("/")[2]: distance
        for prefix in _prefixes(figures)
        if (distance := _distance(figures, f"{prefix}/" if prefix else "")) is not None
    }
    if not found:
        raise GateError(
            f"{metrics_file} lacks {' and '.join(_GATE_METRICS)}, or the figure of the untouched input: cannot decide"
        )
    return found


def _prefixes(figures: Iterable[str]) -> list[str]:
    """Such as "shot/harbour" for each subject; [""] for a single one."""
    parts = [name.split("/") for name in figures]
    return sorted({"/".join(p[:2]) for p in parts if len(p) > 2 and p[0] in _KINDS}) or [""]


def _distance(figures: Mapping[str, float], prefix: str) -> Distance | None:
    for metric in _GATE_METRICS:
        reached, untouched = figures.get(prefix + metric), figures.get(f"{prefix}{metric}_unstylized")
        if reached is not None and untouched is not None:
            return Distance(metric, float(reached), float(untouched))
    return None


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
