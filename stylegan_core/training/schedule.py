"""Learning rates and phases as functions of the absolute step, so that a larger budget continues a run."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stylegan_core.recipes.base import Phase


def lr_factor(schedule: str, step: int, decay_start_step: int, decay_end_step: int) -> float:
    """Factor of the base learning rate at ``step``.

    Args:
        schedule: "constant"; "linear" or "cosine", which fall from 1 at the start step to 0 at the end step.
        step: generator steps already taken, 0 or more.
        decay_start_step: last step at the full rate.
        decay_end_step: first step at rate 0.
    Returns:
        A factor in [0, 1].
    Raises:
        ValueError: an unknown schedule, or a decay that ends before it starts.
    """
    if schedule == "constant":
        return 1.0
    if schedule not in ("linear", "cosine"):
        raise ValueError(f"unknown lr_schedule {schedule!r}; known are: constant, linear, cosine")
    if decay_end_step <= decay_start_step:
        raise ValueError(f"lr_decay_end_step {decay_end_step} must lie after lr_decay_start_step {decay_start_step}")
    done = min(1.0, max(0.0, (step - decay_start_step) / (decay_end_step - decay_start_step)))
    return 1.0 - done if schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))


def phase_at(phases: Sequence[Phase], step: int) -> int:
    """Index of the phase that ``step`` belongs to.

    Raises:
        ValueError: the phases do not cover the step.
    """
    for index, phase in enumerate(phases):
        if phase.end_step is None or step < phase.end_step:
            return index
    raise ValueError(f"no phase covers step {step}: the last phase of a recipe must have end_step None")
