"""Validation and sample grids with the averaged weights, without an effect on the training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch

from stylegan_core.recipes.base import BaseRecipe
from stylegan_core.training.randomness import preserve_rng
from stylegan_core.training.state import TrainingState

Validate = Callable[[BaseRecipe], dict[str, float]]
"""Measures a recipe that has the averaged weights, in evaluation mode; "score" decides the best, lower is better."""

Sample = Callable[[BaseRecipe], npt.NDArray[np.uint8]]
"""A grid (H, W, 3) of what a recipe makes."""


class AveragedEvaluation:
    """Runs validation and sampling of a training.

    Args:
        state: of the training.
        validate: measures; None: no validation.
        sample: makes the grid; None: no grids.
        active: whether this process evaluates; the others of a distributed run do not.
    """

    def __init__(self, state: TrainingState, validate: Validate | None, sample: Sample | None, *, active: bool) -> None:
        self._state, self._validate, self._sample, self._active = state, validate, sample, active

    @property
    def validates(self) -> bool:
        """Whether there is a validation, in any process."""
        return self._validate is not None

    @property
    def samples(self) -> bool:
        """Whether there are sample grids, in any process."""
        return self._sample is not None

    def figures(self) -> dict[str, float]:
        """The metrics of the validation; an infinite score if this process does not validate."""
        if self._validate is None or not self._active:
            return {"score": math.inf}
        with self._averaged() as recipe:
            return {key: float(value) for key, value in self._validate(recipe).items()}

    def grid(self) -> npt.NDArray[np.uint8] | None:
        """The sample grid (H, W, 3); None if this process makes none."""
        if self._sample is None or not self._active:
            return None
        with self._averaged() as recipe:
            return self._sample(recipe)

    @contextmanager
    def _averaged(self) -> Iterator[BaseRecipe]:
        """The recipe with averaged weights, in evaluation mode and without gradients; restored afterwards."""
        recipe = self._state.recipe
        with preserve_rng(), self._state.average.applied(), torch.no_grad():
            recipe.eval()
            try:
                yield recipe
            finally:
                recipe.train()
