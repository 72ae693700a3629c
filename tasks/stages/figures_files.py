"""Figures of the evaluate stage as files: quality in metrics.json, speed in speed.json.

They are apart because speed differs in each run: metrics.json is an input of the stage stylize, which would run again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from stylegan_core.storage.atomic import write_bytes_atomically

METRICS_FILE = "metrics.json"
SPEED_FILE = "speed.json"


def write_figures(figures: Mapping[str, float], reports: Path) -> None:
    """Writes both files.

    Args:
        figures: flat, by name; those of speed are called ``speed/...``, after ``shot/NAME/`` or the like.
        reports: their folder.
    """
    speed = {name: value for name, value in figures.items() if _is_speed(name)}
    quality = {name: value for name, value in figures.items() if name not in speed}
    for name, values in ((METRICS_FILE, quality), (SPEED_FILE, speed)):
        write_bytes_atomically(reports / name, (json.dumps(values, indent=1, allow_nan=False) + "\n").encode())


def read_figures(reports: Path) -> dict[str, float]:
    """The figures of both files by name; those of a file that does not exist are absent."""
    found: dict[str, float] = {}
    for path in (reports / METRICS_FILE, reports / SPEED_FILE):
        document = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        found |= {name: float(value) for name, value in document.items() if isinstance(value, int | float)}
    return found


def _is_speed(name: str) -> bool:
    return name.split("/")[-2:-1] == ["speed"]
