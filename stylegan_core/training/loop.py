"""The training loop: steps, losses, validation and checkpoints, in an order that makes an interrupted run resumable."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from stylegan_core.config import TrainSettings
from stylegan_core.data.batch import Batch
from stylegan_core.training.averaged_evaluation import AveragedEvaluation
from stylegan_core.training.curves import Row, write_curves
from stylegan_core.training.ema import prefixed_state
from stylegan_core.training.hardware import Machine
from stylegan_core.training.interruption import TrainingInterrupted
from stylegan_core.training.metrics_log import MetricsLog, merge_row
from stylegan_core.training.persistence.checkpoint import save_checkpoint
from stylegan_core.training.prefetch import Prefetcher
from stylegan_core.training.result import TrainResult
from stylegan_core.training.save_policy import SavePolicy
from stylegan_core.training.state import Best, TrainingState
from stylegan_core.training.step import Stepper

if TYPE_CHECKING:
    from lightning.fabric import Fabric

log = logging.getLogger(__name__)


class TrainingLoop:
    """Runs a training from its state to the budget, and measures the end.

    Args:
        settings: recipe, budget and intervals.
        fabric: devices and precision.
        machine: what the run computes on, for the checkpoints and the log.
        state: fresh or restored.
        batches: source of batches.
        evaluation: validation and sample grids.
        metrics: curves and observer.
        saving: when to save and to stop.
        folder: of the checkpoints and curves.csv.
    """

    def __init__(
        self,
        *,
        settings: TrainSettings,
        fabric: Fabric,
        machine: Machine,
        state: TrainingState,
        batches: Prefetcher,
        evaluation: AveragedEvaluation,
        metrics: MetricsLog,
        saving: SavePolicy,
        folder: Path,
    ) -> None:
        self._config, self._common = settings.config, settings.common
        self._fabric, self._machine, self._state, self.batches = fabric, machine, state, batches
        self._evaluation, self._metrics, self._saving, self._folder = evaluation, metrics, saving, folder
        self._total_steps = self._config.total_steps(fabric.world_size)
        self._stepper = Stepper(
            fabric, state.recipe, state.optimizers, state.average, self._config, phase=state.progress.phase
        )

    def run(self) -> TrainResult:
        """Trains to the budget or the time limit.

        Raises:
            TrainingInterrupted: a stop was requested; a checkpoint is saved.
            NotFiniteError: a loss or a weight is NaN or infinite.
        """
        progress = self._state.progress
        self._announce()
        while progress.step < self._total_steps and not self._saving.over_limit():
            self._step()
            self._validate_if_due()
            self._sample_if_due()
            reason = self._saving.reason(at_end=progress.step >= self._total_steps)
            if reason:
                self._save()
            if reason == "stop":
                raise TrainingInterrupted(
                    f"stopped by {self._saving.stop.reason or 'a signal'} after step {progress.step} of "
                    f"{self._total_steps}; the checkpoint is in {self._folder}, run the same command to continue"
                )
        if progress.step >= self._total_steps:
            return self._finish("budget")
        log.warning("stopped by train.common.limit_minutes after step %d", progress.step)
        return self._finish("limit_minutes")

    def _announce(self) -> None:
        progress, machine = self._state.progress, self._machine
        self._metrics.observer.start(self._total_steps, progress.step, machine)
        log.log(
            logging.INFO if self._fabric.is_global_zero else logging.DEBUG,
            "training on %s, %s, %d threads: steps %d to %d (%d images)",
            *(machine.accelerator, machine.precision, machine.threads),
            progress.step,
            self._total_steps,
            self._total_steps * self._config.images_per_step(self._fabric.world_size),
        )
        end_step = self._config.lr_decay_end_step
        if self._config.lr_schedule != "constant" and end_step < self._total_steps and self._fabric.is_global_zero:
            log.warning(
                "the learning rates reach 0 at step %d of %d, later steps change nothing: raise lr_decay_end_step to "
                "the budget",
                *(end_step, self._total_steps),
            )

    def _step(self) -> None:
        progress = self._state.progress
        losses = self._stepper.step(progress.step, self._batch)
        progress.phase = self._stepper.phase
        self._metrics.add(progress.step, losses)
        progress.step += 1
        logs_now = progress.step % self._common.log_every_steps == 0
        if self._fabric.device.type == "cpu" or logs_now:
            self._metrics.collect()
        if logs_now:
            self._metrics.record_means()

    def _batch(self) -> Batch:
        position = self._state.progress.position
        self._state.progress.position += 1
        index = position * self._fabric.world_size + self._fabric.global_rank
        return self.batches.batch(index).to(self._fabric.device)

    def _validate_if_due(self) -> None:
        progress = self._state.progress
        if not self._evaluation.validates or progress.step % self._common.validate_every_steps != 0:
            return
        progress.validation = self._evaluation.figures()
        self._state.consider(progress.validation)
        self._metrics.record(_validation_row(progress.validation))

    def _sample_if_due(self) -> None:
        step = self._state.progress.step  # that of the last step is made at the end
        if self._evaluation.samples and step % self._common.sample_every_steps == 0 and step < self._total_steps:
            self._sample()

    def _sample(self) -> None:
        grid = self._evaluation.grid()
        if grid is not None:
            self._metrics.observer.pictures(self._state.progress.step, grid)

    def _save(self) -> None:
        self._metrics.collect()
        self._state.check_finite()
        if self._fabric.is_global_zero:
            state = self._state.dump(self._machine, self._fabric.strategy.precision.state_dict())
            save_checkpoint(self._folder, self._state.progress.step, state.tensors, state.metadata)
            write_curves(self._folder / "curves.csv", self._state.progress.history)
            self._metrics.observer.checkpoint(self._state.progress.step)
        self._saving.saved()

    def _finish(self, stopped_by: str) -> TrainResult:
        """Measures the end. Nothing of it enters the state, so that a larger budget continues as if there were none."""
        progress, observer = self._state.progress, self._metrics.observer
        last = {key: _on_cpu(tensor) for key, tensor in self._state.average.state.items()}
        history = [dict(row) for row in progress.history]
        figures: dict[str, float] = {}
        best = self._state.best
        if self._evaluation.validates:
            scheduled = progress.step % self._common.validate_every_steps == 0 and progress.validation
            figures = dict(progress.validation) if scheduled else self._evaluation.figures()
            if not scheduled:
                row = _validation_row(figures)
                merge_row(history, progress.step, row)
                observer.metrics(progress.step, row)
            if best is None or figures["score"] < best.score:
                best = Best(progress.step, figures["score"], figures, last)
        self._sample()
        best = best or Best(progress.step, math.nan, figures, last)
        recipe = self._state.recipe
        result = TrainResult(
            recipe=recipe,
            steps=progress.step,
            images_seen=progress.position * self._config.batch_size * self._fabric.world_size,
            stopped_by=stopped_by,
            last=last,
            best=best.weights,
            best_step=best.step,
            networks={key: _on_cpu(tensor) for key, tensor in prefixed_state(dict(recipe.networks.items())).items()},
            validation={"last": figures, "best": best.metrics},
            history=history,
            precision=self._machine.precision,
        )
        if self._fabric.is_global_zero:
            write_curves(self._folder / "curves.csv", history)
        observer.finish(result)
        return result


def _validation_row(figures: dict[str, float]) -> Row:
    return {f"validation/{name}": value for name, value in figures.items()}


def _on_cpu(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True)
