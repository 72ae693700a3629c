"""The training loop: steps, validation, checkpoints, and an end that is the same however often it was interrupted."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from stylegan_core.config import CommonSettings, Training
from stylegan_core.data.batch import Batch
from stylegan_core.recipes import recipe_class
from stylegan_core.recipes.base import BaseRecipe, RecipeConfig
from stylegan_core.training.checkpoint import load_checkpoint, save_checkpoint
from stylegan_core.training.curves import Row, write_curves
from stylegan_core.training.ema import MovingAverage, prefixed_state
from stylegan_core.training.hardware import make_fabric, repeatable, resolve_accelerator, resolve_precision
from stylegan_core.training.initial import load_initial
from stylegan_core.training.interruption import StopRequest, TrainingInterrupted
from stylegan_core.training.observer import Observer, Observers
from stylegan_core.training.optimizers import PhaseOptimizers
from stylegan_core.training.prefetch import Prefetcher, Sampler
from stylegan_core.training.randomness import preserve_rng, seed_everything
from stylegan_core.training.result import TrainResult
from stylegan_core.training.state import Best, TrainingState
from stylegan_core.training.step import Stepper

if TYPE_CHECKING:
    from lightning.fabric import Fabric

log = logging.getLogger(__name__)

Validate = Callable[[BaseRecipe], dict[str, float]]
"""Measures a recipe that has the averaged weights, in evaluation mode; "score" decides the best, lower is better."""

Sample = Callable[[BaseRecipe], npt.NDArray[np.uint8]]
"""A grid (H, W, 3) of what a recipe makes."""


def train(
    training: Training,
    sampler: Sampler,
    validate: Validate | None,
    folder: Path,
    observer: Observer,
    *,
    sample: Sample | None = None,
    init: Mapping[str, Tensor] | None = None,
    pictures: int | None = None,
    threads: int | None = None,
) -> TrainResult:
    """Trains a recipe to its budget, from the newest checkpoint in ``folder`` if there is one.

    A run on one CPU that is killed at any time and started again ends with the same bytes as one that never was.

    Args:
        training: recipe and settings.
        sampler: its batches are on the CPU.
        validate: called every ``validate_every_steps`` and at the end; None: the last weights are the best.
        folder: checkpoints and curves.csv; nobody else writes there.
        observer: told of progress.
        sample: called every ``sample_every_steps``, for the observer.
        init: weights to begin with, "<network>.<parameter>".
        pictures: how many different ones the sampler draws from, for augmentation that is for small sets; None is
            not known.
        threads: of torch on the CPU; None: those of the checkpoint, else torch's own number. The result depends on it.
    Raises:
        TrainingInterrupted: by SIGTERM or SIGINT, after saving a checkpoint.
        NotFiniteError: a loss is NaN or infinite; the last good checkpoint is kept.
        ValueError: ``init`` does not fit, or the machine lacks what the settings ask for.
    """
    common = training.settings.common
    found = load_checkpoint(folder)
    saved = found[1]["machine"] if found else {}
    accelerator = resolve_accelerator(common.accelerator)
    precision = saved.get("precision") or resolve_precision(common.precision, accelerator)
    if saved and saved["accelerator"] != accelerator:
        log.warning("the checkpoint comes from %s, this is %s: results will differ", saved["accelerator"], accelerator)
    if saved and threads is not None and saved["threads"] != threads:
        log.warning(
            "the checkpoint was trained with %d threads, this run uses %d: the result will not be bit-identical",
            saved["threads"],
            threads,
        )
    with ExitStack() as stack:
        threads = stack.enter_context(repeatable(threads or saved.get("threads"), accelerator=accelerator))
        fabric = make_fabric(accelerator, common.devices, precision)
        machine = {"accelerator": accelerator, "precision": precision, "threads": threads}
        stop = stack.enter_context(StopRequest())
        loop = _Loop(training, sampler, validate, sample, folder, observer, fabric, machine, stop, init, found)
        loop.recipe.set_dataset_size(pictures)
        stack.callback(loop.close)
        return loop.run()


class _Loop:
    def __init__(  # noqa: PLR0913, PLR0917
        self,
        training: Training,
        sampler: Sampler,
        validate: Validate | None,
        sample: Sample | None,
        folder: Path,
        observer: Observer,
        fabric: Fabric,
        machine: dict[str, Any],
        stop: StopRequest,
        init: Mapping[str, Tensor] | None,
        found: tuple[dict[str, Tensor], dict[str, Any]] | None,
    ) -> None:
        self.common: CommonSettings = training.settings.common
        self.config: RecipeConfig = training.settings.config
        self.validate, self.sample, self.folder = validate, sample, folder
        self.fabric, self.machine, self.stop = fabric, machine, stop
        self.total_steps = self.config.total_steps(fabric.world_size)
        self.observer = Observers([observer] if fabric.is_global_zero else [])
        seed_everything(self.common.seed)
        self.recipe = recipe_class(training.settings.recipe)(self.config).to(fabric.device)
        if init is not None and found is None:
            load_initial(self.recipe, init)
        if init is None and (warning := self.config.fresh_start_warning()):
            log.warning("%s", warning)
        self.recipe.train()
        inference = {name: self.recipe.networks[name] for name in self.recipe.inference_networks}
        average = MovingAverage(inference, self.config.ema_decay)
        optimizers = PhaseOptimizers(fabric, self.recipe.networks, fused=machine["precision"] != "fp16")
        self.state = TrainingState(self.recipe, average, optimizers)
        if found is not None:
            self.state.restore(*found)
            fabric.strategy.precision.load_state_dict(found[1]["scaler"])
        if fabric.global_rank > 0:
            # The checkpoint has the first process's generators; the others need their own, and no exactness.
            seed_everything(hash((self.common.seed, fabric.global_rank, self.state.progress.step)) % 2**32)
        self.stepper = Stepper(fabric, self.recipe, optimizers, average, self.config, phase=self.state.progress.phase)
        self.batches = Prefetcher(sampler, stride=fabric.world_size)
        self.pending: list[tuple[int, list[str], Tensor]] = []
        self.started_s = self.saved_s = self.told_s = time.monotonic()
        self.told_step = self.state.progress.step
        self.elapsed_before_s = self.state.progress.elapsed_s

    def run(self) -> TrainResult:
        progress, common = self.state.progress, self.common
        self.observer.start(self.total_steps, progress.step)
        log.log(
            logging.INFO if self.fabric.is_global_zero else logging.DEBUG,
            "training on %s, %s, %d threads: steps %d to %d (%d images)",
            *(self.machine[k] for k in ("accelerator", "precision", "threads")),
            progress.step,
            self.total_steps,
            self.total_steps * self.config.batch_size * self.fabric.world_size,
        )
        self._warn_of_idle_steps()
        stopped_by = "budget"
        while progress.step < self.total_steps and not self._over_limit():
            losses = self.stepper.step(progress.step, self._batch)
            progress.phase = self.stepper.phase
            self.pending.append((progress.step, list(losses), torch.stack(list(losses.values()))))
            progress.step += 1
            if self.fabric.device.type == "cpu" or progress.step % common.log_every_steps == 0:
                self._collect()
            if progress.step % common.log_every_steps == 0:
                self._record({**progress.window.means(), **self._rates()})
            validated = self.validate is not None and progress.step % common.validate_every_steps == 0
            if validated:
                progress.validation = self._validated()
                self.state.consider(progress.validation)
                self._record({f"validation/{k}": v for k, v in progress.validation.items()})
            if self.sample is not None and progress.step % common.sample_every_steps == 0:
                self._show()
            reason = self._reason_to_save(validated)
            if reason:
                self._save()
            if reason == "stop":
                raise TrainingInterrupted(
                    f"stopped by {self.stop.reason or 'a signal'} after step {progress.step} of "
                    f"{self.total_steps}; the checkpoint is in {self.folder}, run the same command to continue"
                )
        if progress.step < self.total_steps:
            stopped_by = "limit_minutes"
            log.warning("stopped by train.common.limit_minutes after step %d", progress.step)
        return self._finish(stopped_by)

    def _warn_of_idle_steps(self) -> None:
        end_step = self.config.lr_decay_end_step
        if self.config.lr_schedule != "constant" and end_step < self.total_steps and self.fabric.is_global_zero:
            log.warning(
                "the learning rates reach 0 at step %d of %d and nothing is learned afterwards: raise "
                "lr_decay_end_step to the budget",
                *(end_step, self.total_steps),
            )

    def close(self) -> None:
        self.batches.close()

    def _batch(self) -> Batch:
        position = self.state.progress.position
        self.state.progress.position += 1
        return self.batches.batch(position * self.fabric.world_size + self.fabric.global_rank).to(self.fabric.device)

    def _collect(self) -> None:
        """Brings the losses of the last steps from the device and checks them."""
        for step, names, own in self.pending:
            values = self.fabric.all_reduce(own, reduce_op="mean") if self.fabric.world_size > 1 else own
            self.state.progress.window.add(step, dict(zip(names, values.tolist(), strict=True)))
        self.pending.clear()

    def _record(self, values: Row) -> None:
        """To the observer, and what does not depend on the clock to the curves."""
        progress = self.state.progress
        lasting = {k: v for k, v in values.items() if not k.startswith(("rate/", "time_left"))}
        if progress.history and progress.history[-1]["step"] == progress.step:
            progress.history[-1].update(lasting)
        else:
            progress.history.append({"step": progress.step, **lasting})
        self.observer.metrics(progress.step, values)

    def _rates(self) -> Row:
        progress, now_s = self.state.progress, time.monotonic()
        steps_per_s = (progress.step - self.told_step) / max(now_s - self.told_s, 1e-9)
        self.told_s, self.told_step = now_s, progress.step
        rates = {
            "rate/steps_per_s": steps_per_s,
            "rate/images_per_s": steps_per_s * self.config.batch_size * self.fabric.world_size,
            "time_left_s": (self.total_steps - progress.step) / max(steps_per_s, 1e-9),
        }
        return rates | self.state.optimizers.learning_rates()

    def _looking(self) -> AbstractContextManager[Any]:
        """Averaged weights, evaluation mode, no gradients; the run goes on as if nobody had looked."""
        stack = ExitStack()
        stack.enter_context(preserve_rng())
        stack.enter_context(self.state.average.applied())
        stack.enter_context(torch.no_grad())
        stack.callback(self.recipe.train)
        self.recipe.eval()
        return stack

    def _validated(self) -> dict[str, float]:
        if self.validate is None or not self.fabric.is_global_zero:
            return {"score": math.inf}
        with self._looking():
            return {key: float(value) for key, value in self.validate(self.recipe).items()}

    def _show(self) -> None:
        if self.sample is not None and self.fabric.is_global_zero:
            with self._looking():
                grid = self.sample(self.recipe)
            self.observer.pictures(self.state.progress.step, grid)

    def _reason_to_save(self, validated: bool) -> str:
        """Why a checkpoint is due, or nothing; the same in all processes."""
        progress, now_s = self.state.progress, time.monotonic()
        progress.elapsed_s = self.elapsed_before_s + now_s - self.started_s
        if self.stop.reason:
            reason = "stop"
        elif self._over_limit():
            reason = "limit"
        elif progress.step >= self.total_steps:
            reason = "end"
        elif now_s - self.saved_s >= self.common.checkpoint_every_s or validated:
            reason = "due"
        else:
            reason = ""
        if self.fabric.world_size > 1:
            reason, progress.elapsed_s = self.fabric.broadcast((reason, progress.elapsed_s))
        return reason

    def _over_limit(self) -> bool:
        limit = self.common.limit_minutes
        return limit is not None and self.state.progress.elapsed_s >= 60.0 * limit

    def _save(self) -> None:
        self._collect()
        self.state.check_finite()
        if self.fabric.is_global_zero:
            tensors, metadata = self.state.dump()
            metadata |= {"machine": self.machine, "scaler": self.fabric.strategy.precision.state_dict()}
            save_checkpoint(self.folder, self.state.progress.step, tensors, metadata)
            write_curves(self.folder / "curves.csv", self.state.progress.history)
            self.observer.checkpoint(self.state.progress.step)
        self.saved_s = time.monotonic()

    def _finish(self, stopped_by: str) -> TrainResult:
        """Measures the end. Nothing of it enters the state, so that a larger budget continues as if there were none."""
        progress, best = self.state.progress, self.state.best
        last = {key: tensor.detach().to("cpu", copy=True) for key, tensor in self.state.average.state.items()}
        history = [dict(row) for row in progress.history]
        metrics: dict[str, float] = {}
        if self.validate is not None:
            scheduled = progress.step % self.common.validate_every_steps == 0 and progress.validation
            metrics = dict(progress.validation) if scheduled else self._validated()
            if not scheduled:
                row = {f"validation/{k}": v for k, v in metrics.items()}
                if history and history[-1]["step"] == progress.step:
                    history[-1] |= row
                else:
                    history.append({"step": progress.step, **row})
                self.observer.metrics(progress.step, row)
            if best is None or metrics["score"] < best.score:
                best = Best(progress.step, metrics["score"], metrics, last)
        self._show()
        best = best or Best(progress.step, math.nan, metrics, last)
        networks = {n: net for n, net in self.recipe.networks.items()}
        result = TrainResult(
            recipe=self.recipe,
            steps=progress.step,
            images_seen=progress.position * self.config.batch_size * self.fabric.world_size,
            stopped_by=stopped_by,
            last=last,
            best=best.weights,
            best_step=best.step,
            networks={k: t.detach().to("cpu", copy=True) for k, t in prefixed_state(networks).items()},
            validation={"last": metrics, "best": best.metrics},
            history=history,
            precision=self.machine["precision"],
        )
        if self.fabric.is_global_zero:
            write_curves(self.folder / "curves.csv", history)
        self.observer.finish(result)
        return result
