"""The promotion gate between evaluate and stylize: no model goes on to the shots that makes them worse."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path

log = logging.getLogger(__name__)

_JUDGES = ("truth/swd", "style/swd")
"""Distances to the wanted look, the most trusted first; each is compared with the same of the untouched input."""


class GateError(RuntimeError):
    """A model is not good enough to be promoted; the message gives the figures."""


def check_gate(metrics_file: Path, *, max_swd_ratio: float = 1.0) -> str:
    """Judges the figures that evaluate wrote.

    Args:
        metrics_file: reports/metrics.json.
        max_swd_ratio: the largest allowed patch distance to the truth (to the style where no truth is known),
            as a part of the untouched input's.

    Returns:
        One line that says by what the model passed.

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
    judge = next((name for name in _JUDGES if name in figures and f"{name}_unstylized" in figures), None)
    if judge is None:
        raise GateError(
            f"{metrics_file} has none of {', '.join(_JUDGES)} beside the untouched input's: nothing to judge by"
        )
    reached, untouched = float(figures[judge]), float(figures[f"{judge}_unstylized"])
    said = f"{judge} is {reached:.4g}, the untouched input's {untouched:.4g}, allowed are {max_swd_ratio:g} of it"
    if reached >= max_swd_ratio * untouched:
        raise GateError(f"the model is not promoted: {said}")
    log.info("promoted: %s", said)
    return said


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
