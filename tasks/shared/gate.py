"""Promotion gate between evaluate and stylize: a model must come nearer to the style than the untouched input."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path

log = logging.getLogger(__name__)

_GATE_METRICS = ("truth/swd", "style/swd")
"""Distances to the wanted style, most reliable first; each is compared with that of the untouched input."""


class GateError(RuntimeError):
    """A model is not good enough to be promoted; the message holds the figures."""


def check_gate(metrics_file: Path, *, max_swd_ratio: float = 1.0) -> str:
    """Checks the figures that evaluate wrote.

    Args:
        metrics_file: reports/metrics.json.
        max_swd_ratio: the largest allowed patch distance to the truth (to the style where no truth is known),
            as a fraction of the untouched input's.

    Returns:
        The comparison that the model passed, in one line.

    Raises:
        GateError: a figure is missing or not finite, or the distance is too large.
    """
    try:
        figures = json.loads(metrics_file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GateError(f"{metrics_file} cannot be read: {error}") from error
    wrong = [name for name, value in figures.items() if not _is_finite(value)]
    if wrong:
        raise GateError(f"figures that are not finite: {', '.join(sorted(wrong))}")
    metric = next((name for name in _GATE_METRICS if name in figures and f"{name}_unstylized" in figures), None)
    if metric is None:
        raise GateError(
            f"{metrics_file} lacks {' and '.join(_GATE_METRICS)}, or the figure of the untouched input: cannot decide"
        )
    reached, untouched = float(figures[metric]), float(figures[f"{metric}_unstylized"])
    comparison = f"{metric} is {reached:.4g}, the limit {max_swd_ratio:g} x {untouched:.4g} (untouched input)"
    if reached >= max_swd_ratio * untouched:
        raise GateError(f"the model is not promoted: {comparison}")
    log.info("promoted: %s", comparison)
    return comparison


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
