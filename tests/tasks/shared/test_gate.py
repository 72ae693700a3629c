"""The absolute bar of the promotion gate: finite figures, and nearer to the painting than the untouched input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.shared.gate import Distance, GateError, read_distances


def _write(folder: Path, figures: Any) -> Path:
    path = folder / "metrics.json"
    path.write_text(json.dumps(figures))
    return path


def test_a_model_below_the_limit_is_within(tmp_path: Path) -> None:
    distances = read_distances(_write(tmp_path, {"truth/swd": 0.2, "truth/swd_unstylized": 1.0}))
    assert distances == {"": Distance("truth/swd", 0.2, 1.0)}
    assert distances[""].within(0.27)
    assert not distances[""].within(0.2)
    assert distances[""].describe(0.27) == "truth/swd is 0.2, the limit 0.27 x 1 (untouched input)"


def test_each_shot_has_its_own(tmp_path: Path) -> None:
    figures = {"truth/swd": 0.2, "truth/swd_unstylized": 1.0, "style/swd": 0.1, "style/swd_unstylized": 1.0}
    shots = {f"shot/sea/{name}": value for name, value in figures.items()}
    shots |= {f"collection/a.b/{name}": value for name, value in figures.items() if "style" in name}
    found = read_distances(_write(tmp_path, figures | shots))
    # The truth comes first: a good style figure does not outweigh it.
    assert found == {"sea": Distance("truth/swd", 0.2, 1.0), "a.b": Distance("style/swd", 0.1, 1.0)}


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ({"truth/swd": float("nan"), "truth/swd_unstylized": 1.0}, "not finite: truth/swd"),
        ({"truth/swd": 0.1, "truth/swd_unstylized": 1.0, "temporal/shift_error": None}, "not finite: temporal"),
        ({"truth/psnr_db": 20.0}, "cannot decide"),
    ],
)
def test_figures_that_decide_nothing(tmp_path: Path, figures: dict[str, Any], message: str) -> None:
    with pytest.raises(GateError, match=message):
        read_distances(_write(tmp_path, figures))


def test_missing_figures_are_no_pass(tmp_path: Path) -> None:
    with pytest.raises(GateError, match="cannot be read"):
        read_distances(tmp_path / "metrics.json")
