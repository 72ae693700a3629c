"""Paired comparison of two models on the same frames: relative change of a distance, with a bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Verdict = Literal["better", "not worse", "uncertain", "worse"]


@dataclass(frozen=True)
class PairedChange:
    """Relative change of a mean, 0.1 is 10 % more, with its percentile bootstrap interval.

    Attributes:
        value: of the means over all frames.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    value: float
    low: float
    high: float

    def verdict(self, margin: float) -> Verdict:
        """What the interval says about a distance, of which less is better.

        Args:
            margin: relative change that is accepted.

        Returns:
            "better": less than before, at this confidence. "not worse": more than before by ``margin`` at most.
            "worse": more than ``margin``. "uncertain": the interval contains ``margin``.
        """
        if self.low > margin:
            return "worse"
        if self.high < 0.0:
            return "better"
        return "not worse" if self.high <= margin else "uncertain"


def paired_change(
    candidate: Sequence[float], reference: Sequence[float], *, confidence: float, resamples: int, seed: int
) -> PairedChange:
    """Compares two models' figures of the same frames.

    Frames are resampled in pairs, since a frame that is hard for one model is hard for the other. Neighbouring frames
    resemble each other, so the interval is that of these frames, and too narrow for other shots. That of a single
    frame has no width.

    Args:
        candidate: figures of the new model, at least 0, one a frame.
        reference: those of the other model, in the same order.
        confidence: of the interval, below 1.
        resamples: number of bootstrap samples.
        seed: equal seeds give equal intervals.

    Raises:
        ValueError: the figures differ in number, or there are none.
    """
    new, old = np.asarray(candidate, np.float64), np.asarray(reference, np.float64)
    if new.shape != old.shape or not new.size:
        raise ValueError(f"expected as many figures of both models, at least one, got {new.size} and {old.size}")
    chosen = np.random.default_rng(seed).integers(0, new.size, (resamples, new.size))
    changes = _change(new[chosen].mean(axis=1), old[chosen].mean(axis=1))
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(changes, [tail, 1.0 - tail], method="linear")
    return PairedChange(float(_change(new.mean(), old.mean())), float(low), float(high))


def _change(new: Any, old: Any) -> npt.NDArray[np.float64]:
    """Relative change; a distance that grows from nothing grows by the largest number."""
    with np.errstate(divide="ignore", invalid="ignore"):
        changes = np.where(new == old, 0.0, new / old - 1.0)
    return np.minimum(changes, np.finfo(np.float64).max)
