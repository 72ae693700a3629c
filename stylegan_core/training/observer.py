"""Observers of a training, such as progress bars and trackers; they never change or end a training."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from stylegan_core.training.hardware import Machine
    from stylegan_core.training.result import TrainResult

log = logging.getLogger(__name__)


class Observer(Protocol):
    """Receives the events of a training, in the thread that trains: its methods must return quickly."""

    def start(self, total_steps: int, resumed_from: int, machine: Machine) -> None:
        """Training starts; ``resumed_from`` steps are already done. ``machine`` is what it computes on."""
        ...

    def metrics(self, step: int, values: dict[str, float]) -> None:
        """Means since the last call, after ``step`` steps.

        Names are loss/generator/<term>, loss/discriminator/<term>, learning_rate/<role>, validation/<name>,
        rate/steps_per_s, rate/images_per_s and time_left_s.
        """
        ...

    def pictures(self, step: int, grid: npt.NDArray[np.uint8]) -> None:
        """A sample grid (H, W, 3), made with the averaged weights."""
        ...

    def checkpoint(self, step: int) -> None:
        """A checkpoint was written."""
        ...

    def finish(self, result: TrainResult) -> None:
        """Training is complete; not called after an interruption."""
        ...


class Observers:
    """Several observers as one. An observer that raises is logged once and removed."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = list(observers)

    def start(self, total_steps: int, resumed_from: int, machine: Machine) -> None:
        """See ``Observer.start``."""
        self._notify(lambda o: o.start(total_steps, resumed_from, machine))

    def metrics(self, step: int, values: dict[str, float]) -> None:
        """See ``Observer.metrics``."""
        self._notify(lambda o: o.metrics(step, dict(values)))

    def pictures(self, step: int, grid: npt.NDArray[np.uint8]) -> None:
        """See ``Observer.pictures``."""
        self._notify(lambda o: o.pictures(step, grid))

    def checkpoint(self, step: int) -> None:
        """See ``Observer.checkpoint``."""
        self._notify(lambda o: o.checkpoint(step))

    def finish(self, result: TrainResult) -> None:
        """See ``Observer.finish``."""
        self._notify(lambda o: o.finish(result))

    def _notify(self, call: Callable[[Any], None]) -> None:
        for observer in list(self._observers):
            try:
                call(observer)
            except Exception:
                log.warning(
                    "%s failed: it is disabled for the rest of the training", type(observer).__name__, exc_info=True
                )
                self._observers.remove(observer)
