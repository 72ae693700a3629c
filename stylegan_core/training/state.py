"""The complete state of a training at a step, which a checkpoint holds as tensors and JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stylegan_core.recipes.base import BaseRecipe
from stylegan_core.training.curves import NotFiniteError, not_finite_message
from stylegan_core.training.ema import MovingAverage
from stylegan_core.training.hardware import Machine
from stylegan_core.training.optimizers import PhaseOptimizers
from stylegan_core.training.persistence.checkpoint import Checkpoint
from stylegan_core.training.persistence.checkpoint_metadata import BestScore, CheckpointMetadata
from stylegan_core.training.progress import Progress
from stylegan_core.training.randomness import GeneratorStates, generator_states, restore_generators


@dataclass
class Best:
    """The averaged weights with the lowest validation score so far.

    Attributes:
        step: steps done at that time.
        score: lower is better.
        metrics: of the validation.
        weights: "<network>.<parameter>", on the CPU.
    """

    step: int
    score: float
    metrics: dict[str, float]
    weights: dict[str, Tensor]


class TrainingState:
    """Recipe, moving average, optimizers and counters of a training."""

    def __init__(self, recipe: BaseRecipe, average: MovingAverage, optimizers: PhaseOptimizers) -> None:
        self.recipe = recipe
        self.average = average
        self.optimizers = optimizers
        self.progress = Progress()
        self.best: Best | None = None

    def consider(self, metrics: dict[str, float]) -> None:
        """Keeps the averaged weights if ``metrics["score"]`` is the lowest so far."""
        score = metrics["score"]
        if math.isfinite(score) and (self.best is None or score < self.best.score):
            weights = {key: tensor.detach().to("cpu", copy=True) for key, tensor in self.average.state.items()}
            self.best = Best(self.progress.step, score, dict(metrics), weights)

    def check_finite(self) -> None:
        """Checks every weight.

        Raises:
            NotFiniteError: one is NaN or infinite.
        """
        for key, tensor in self.recipe.state_dict().items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise NotFiniteError(not_finite_message(f"the weight {key}", math.nan, self.progress.step))

    def dump(self, machine: Machine, scaler: dict[str, Any]) -> Checkpoint:
        """The state as a checkpoint holds it; the tensors are not copied.

        All of the recipe's state is kept, also buffers outside its networks: a recipe with a pool of earlier fakes
        keeps it in buffers, and resuming needs no more.

        Args:
            machine: what the training computes on.
            scaler: state of the loss scaling.
        """
        tensors = {f"recipe/{key}": tensor for key, tensor in self.recipe.state_dict().items()}
        tensors |= {f"ema/{key}": tensor for key, tensor in self.average.state.items()}
        tensors |= {f"optimizer/{key}": tensor for key, tensor in self.optimizers.tensors().items()}
        best = None
        if self.best is not None:
            tensors |= {f"best/{key}": tensor for key, tensor in self.best.weights.items()}
            best = BestScore(self.best.step, self.best.score, self.best.metrics)
        generators = generator_states()
        tensors |= {f"random/{key}": tensor for key, tensor in generators.tensors.items()}
        return Checkpoint(tensors, CheckpointMetadata(self.progress, best, generators.metadata, machine, scaler))

    def restore(self, checkpoint: Checkpoint) -> None:
        """Sets the state to that of ``checkpoint``.

        Raises:
            RuntimeError: the recipe's tensors differ from the checkpoint's.
        """
        tensors, metadata = checkpoint.tensors, checkpoint.metadata
        self.recipe.load_state_dict(_below("recipe", tensors))
        self.average.load(_below("ema", tensors))
        self.progress = metadata.progress
        if self.progress.phase >= 0:
            self.optimizers.enter(self.recipe.phases()[self.progress.phase])
            self.optimizers.load(_below("optimizer", tensors))
        if (best := metadata.best) is not None:
            self.best = Best(best.step, best.score, best.metrics, _below("best", tensors))
        restore_generators(GeneratorStates(_below("random", tensors), metadata.random))


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key[len(prefix) + 1 :]: tensor for key, tensor in tensors.items() if key.startswith(f"{prefix}/")}
