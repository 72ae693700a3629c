"""The promotion gate: finite figures, and nearer to the painting than the untouched input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.shared.gate import GateError, check_gate


def _write(folder: Path, figures: Any) -> Path:
    path = folder / "metrics.json"
    path.write_text(json.dumps(figures))
    return path


def test_a_good_model_passes(tmp_path: Path) -> None:
    comparison = check_gate(_write(tmp_path, {"truth/swd": 0.2, "truth/swd_unstylized": 1.0}), max_swd_ratio=0.27)
    assert "0.2" in comparison


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ({"truth/swd": 0.3, "truth/swd_unstylized": 1.0}, "not promoted"),
        ({"truth/swd": float("nan"), "truth/swd_unstylized": 1.0}, "not finite: truth/swd"),
        ({"truth/swd": 0.1, "truth/swd_unstylized": 1.0, "speed/images_per_s": None}, "not finite: speed"),
        ({"truth/psnr_db": 20.0}, "cannot decide"),
        # The truth comes first: a good style figure does not outweigh it.
        ({"style/swd": 0.1, "style/swd_unstylized": 1.0, "truth/swd": 0.9, "truth/swd_unstylized": 1.0}, "truth/swd"),
    ],
)
def test_a_bad_model_does_not(tmp_path: Path, figures: dict[str, Any], message: str) -> None:
    with pytest.raises(GateError, match=message):
        check_gate(_write(tmp_path, figures), max_swd_ratio=0.27)


def test_without_truth_the_style_decides(tmp_path: Path) -> None:
    check_gate(_write(tmp_path, {"style/swd": 0.5, "style/swd_unstylized": 1.0}))


def test_missing_figures_are_no_pass(tmp_path: Path) -> None:
    with pytest.raises(GateError, match="cannot be read"):
        check_gate(tmp_path / "metrics.json")
