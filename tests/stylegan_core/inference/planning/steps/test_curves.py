"""Curves from CSV: linear between keys, held outside, wrong cells named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stylegan_core.inference.job.frame_settings import Conditioning, StyleReference
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.planning.steps.curves import Curves, read_curves, value_at

DIRECTIONS = Conditioning(
    styles=(
        StyleReference(path=Path("/refs/dusk.jpg"), sha256="1" * 64, weight=0.75),
        StyleReference(path=Path("/refs/sea.png"), sha256="2" * 64, weight=0.25),
    )
)


def write(folder: Path, text: str) -> Path:
    path = folder / "curve.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_linear_between_keys_and_held_outside() -> None:
    keys = ((-5, 0.25), (10, 1.0), (30, 0.0))
    numbers = np.arange(-20, 50)
    expected = np.interp(numbers, [n for n, _ in keys], [v for _, v in keys])
    assert np.allclose([value_at(keys, int(n)) for n in numbers], expected, rtol=0, atol=1e-12)
    assert [value_at(keys, n) for n in (-5, 10, 30)] == [0.25, 1.0, 0.0]


def test_columns_have_keys_of_their_own(tmp_path: Path) -> None:
    curves = read_curves(write(tmp_path, "\ufeff# hold, then rise\nframe, strength, dusk\n\n20,1,\n10,0.5,3\n15,,1\n"))
    assert curves == Curves(((10, 0.5), (20, 1.0)), {"dusk": ((10, 3.0), (15, 1.0))})
    assert curves.strength_at(15) == 0.75
    # 3 and 1 beside sea's own 0.25
    assert curves.weights_at(10, DIRECTIONS) == pytest.approx((3 / 3.25, 0.25 / 3.25))
    assert curves.weights_at(99, DIRECTIONS) == pytest.approx((0.8, 0.2))


def test_a_curve_of_weights_alone_leaves_the_strength_and_the_other_way_round(tmp_path: Path) -> None:
    weights = read_curves(write(tmp_path, "frame;sea.png;/refs/dusk.jpg\n1;1;0\n3;0;1\n"))
    assert weights.strength_at(2) is None
    assert weights.weights_at(2, DIRECTIONS) == (0.5, 0.5)
    strength = read_curves(write(tmp_path, "frame,strength\n1,0\n"))
    assert strength.strength_at(7) == 0.0
    assert strength.weights_at(7, DIRECTIONS) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("number,strength\n1,1\n", "must name the columns: frame, then"),
        ("frame\n1\n", "must name the columns: frame, then"),
        ("frame,strength,strength\n1,1,1\n", "every column needs its own name, but 'strength'"),
        ("frame,strength\n1,1\n1.5,1\n", r"line 3: '1.5' is not a frame number"),
        ("# c\nframe,strength\n1,high\n", r"line 3: 'high' is not a number for strength"),
        ("frame,strength\n1,2.5\n", r"strength is 2.5, but must be 0 to 2"),
        ("frame,dusk\n1,-1\n", r"dusk is -1, but must be 0 or more"),
        ("frame,dusk\n1,nan\n", "dusk is nan"),
        ("frame,strength\n1,1\n1,0\n", "frame 1 already has a value of strength"),
        ("frame,strength\n1,1,1\n", "3 cells for 2 columns"),
        ("frame,strength,dusk\n1,1,\n", "the column dusk has no value"),
    ],
)
def test_wrong_curves_say_where(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        read_curves(write(tmp_path, text))


def test_references_that_the_job_has_not(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="cannot be read: No such file"):
        read_curves(tmp_path / "none.csv")
    with pytest.raises(PlanError, match=r"a column dawn, but the references are dusk\.jpg, sea\.png"):
        Curves(weights={"dawn": ((1, 1.0),)}).weights_at(1, DIRECTIONS)
    with pytest.raises(PlanError, match="--style-image"):
        Curves(weights={"dawn": ((1, 1.0),)}).weights_at(1, Conditioning())
    with pytest.raises(PlanError, match="at frame 4 the curve gives all references the weight 0"):
        Curves(weights={"dusk": ((1, 0.0),), "sea": ((1, 0.0),)}).weights_at(4, DIRECTIONS)
