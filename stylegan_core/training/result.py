"""The result of a training."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from stylegan_core.recipes.base import BaseRecipe
from stylegan_core.training.curves import Row


@dataclass(frozen=True)
class TrainResult:
    """Weights, metrics and curves at the end of a training.

    Attributes:
        recipe: with its own last weights.
        steps: generator steps done.
        images_seen: training crops drawn.
        stopped_by: "budget" or "limit_minutes".
        last: averaged weights of the inference networks at the end, "<network>.<parameter>", on the CPU.
        best: the same at the lowest validation score.
        best_step: steps done then.
        networks: weights of all networks without averaging, for ``init_from``.
        validation: metrics of "last" and "best"; empty without a validation.
        history: rows of the loss curves.
        precision: that was used: "fp32", "bf16" or "fp16".
    """

    recipe: BaseRecipe
    steps: int
    images_seen: int
    stopped_by: str
    last: dict[str, Tensor]
    best: dict[str, Tensor]
    best_step: int
    networks: dict[str, Tensor]
    validation: dict[str, dict[str, float]]
    history: list[Row]
    precision: str
