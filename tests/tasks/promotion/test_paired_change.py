"""The paired bootstrap: equal to SciPy's, and verdicts that follow from the interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from tasks.promotion.paired_change import PairedChange, paired_change

SETTINGS: dict[str, Any] = {"confidence": 0.95, "resamples": 2000, "seed": 3}


def _frames(count: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    rng = np.random.default_rng(1)
    hard = rng.uniform(0.5, 4.0, count)  # frames differ more than models
    return hard * rng.normal(1.05, 0.02, count), hard


@pytest.mark.parametrize("count", [2, 9, 48])
def test_the_interval_is_that_of_scipy(count: int) -> None:
    candidate, reference = _frames(count)

    def ratio(a: Any, b: Any, axis: int = -1) -> Any:
        return np.mean(a, axis=axis) / np.mean(b, axis=axis) - 1

    expected = stats.bootstrap(
        (candidate, reference),
        ratio,
        paired=True,
        method="percentile",
        n_resamples=2000,
        confidence_level=0.95,
        rng=np.random.default_rng(3),
    ).confidence_interval
    found = paired_change(candidate.tolist(), reference.tolist(), **SETTINGS)
    assert found.value == pytest.approx(candidate.mean() / reference.mean() - 1)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_pairs_find_what_separate_samples_would_not() -> None:
    candidate, reference = _frames(48)
    assert paired_change(candidate.tolist(), reference.tolist(), **SETTINGS).verdict(0.02) == "worse"
    shuffled = np.random.default_rng(0).permutation(reference)
    assert paired_change(candidate.tolist(), shuffled.tolist(), **SETTINGS).verdict(0.02) == "uncertain"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.2, -0.1, "better"),
        (-0.1, 0.02, "not worse"),
        (0.01, 0.015, "not worse"),
        (-0.1, 0.1, "uncertain"),
        (0.02, 0.1, "uncertain"),
        (0.021, 0.1, "worse"),
    ],
)
def test_verdicts(low: float, high: float, verdict: str) -> None:
    assert PairedChange((low + high) / 2, low, high).verdict(0.02) == verdict


def test_one_frame_has_an_interval_without_width() -> None:
    assert paired_change([1.1], [1.0], **SETTINGS) == PairedChange(*[pytest.approx(0.1)] * 3)


def test_distances_of_nothing() -> None:
    assert paired_change([0.0, 0.0], [0.0, 0.0], **SETTINGS).verdict(0.0) == "not worse"
    assert paired_change([0.1, 0.1], [0.0, 0.0], **SETTINGS).verdict(0.5) == "worse"


def test_figures_of_other_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="got 2 and 1"):
        paired_change([1.0, 2.0], [1.0], **SETTINGS)
    with pytest.raises(ValueError, match="at least one"):
        paired_change([], [], **SETTINGS)
