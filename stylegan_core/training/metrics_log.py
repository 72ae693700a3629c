"""Losses from the device to the curves and the observer, with rates of progress."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from stylegan_core.recipes.base import RecipeConfig
from stylegan_core.training.curves import Row
from stylegan_core.training.observer import Observer
from stylegan_core.training.state import TrainingState

if TYPE_CHECKING:
    from lightning.fabric import Fabric

_CLOCK_DEPENDENT = ("rate/", "time_left")
"""Beginnings of the metrics that equal runs do not share; the curves leave them out."""


class MetricsLog:
    """Collects losses and writes rows of the curves.

    Args:
        fabric: averages losses over processes.
        state: its window and history are written.
        observer: receives each row.
        config: batch size and budget, for the rates.
    """

    def __init__(self, fabric: Fabric, state: TrainingState, observer: Observer, config: RecipeConfig) -> None:
        self.observer = observer
        self._fabric, self._state, self._config = fabric, state, config
        self._pending: list[tuple[int, list[str], Tensor]] = []
        self._rated_s, self._rated_step = time.monotonic(), state.progress.step

    def add(self, step: int, losses: dict[str, Tensor]) -> None:
        """Keeps the losses of ``step`` on the device, so that it need not be waited for."""
        self._pending.append((step, list(losses), torch.stack(list(losses.values()))))

    def collect(self) -> None:
        """Brings the kept losses from the device into the window.

        Raises:
            NotFiniteError: one of them is NaN or infinite.
        """
        for step, names, own in self._pending:
            values = self._fabric.all_reduce(own, reduce_op="mean") if self._fabric.world_size > 1 else own
            self._state.progress.window.add(step, dict(zip(names, values.tolist(), strict=True)))
        self._pending.clear()

    def record_means(self) -> None:
        """Records the window's mean losses, rates and learning rates."""
        self.record({**self._state.progress.window.means(), **self._rates()})

    def record(self, values: Row) -> None:
        """Passes ``values`` to the observer, and those that do not depend on the clock to the curves."""
        progress = self._state.progress
        lasting = {k: v for k, v in values.items() if not k.startswith(_CLOCK_DEPENDENT)}
        merge_row(progress.history, progress.step, lasting)
        self.observer.metrics(progress.step, values)

    def _rates(self) -> Row:
        progress, now_s = self._state.progress, time.monotonic()
        steps_per_s = (progress.step - self._rated_step) / max(now_s - self._rated_s, 1e-9)
        self._rated_s, self._rated_step = now_s, progress.step
        processes = self._fabric.world_size
        rates = {
            "rate/steps_per_s": steps_per_s,
            "rate/images_per_s": steps_per_s * self._config.images_per_step(processes),
            "time_left_s": (self._config.total_steps(processes) - progress.step) / max(steps_per_s, 1e-9),
        }
        return rates | self._state.optimizers.lr_metrics()


def merge_row(history: list[Row], step: int, values: Row) -> None:
    """Adds ``values`` to the row of ``step``, which is the last row of ``history`` or becomes it."""
    if history and history[-1]["step"] == step:
        history[-1].update(values)
    else:
        history.append({"step": step, **values})
