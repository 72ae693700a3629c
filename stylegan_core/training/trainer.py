"""Trains a recipe: chooses device and precision, restores the newest checkpoint, and runs the training loop."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from stylegan_core.config import Training
from stylegan_core.recipes import recipe_class
from stylegan_core.training.averaged_evaluation import AveragedEvaluation, Sample, Validate
from stylegan_core.training.ema import MovingAverage
from stylegan_core.training.hardware import Machine, make_fabric, repeatable, resolve_accelerator, resolve_precision
from stylegan_core.training.interruption import StopRequest
from stylegan_core.training.loop import TrainingLoop
from stylegan_core.training.metrics_log import MetricsLog
from stylegan_core.training.observer import Observer, Observers
from stylegan_core.training.optimizers import PhaseOptimizers
from stylegan_core.training.persistence.checkpoint import Checkpoint, load_checkpoint
from stylegan_core.training.persistence.initial import load_initial
from stylegan_core.training.prefetch import Prefetcher, Sampler
from stylegan_core.training.randomness import seed_everything
from stylegan_core.training.result import TrainResult
from stylegan_core.training.save_policy import SavePolicy
from stylegan_core.training.state import TrainingState

if TYPE_CHECKING:
    from lightning.fabric import Fabric

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inputs:
    """What a training works with, besides its settings.

    Attributes:
        sampler: source of batches, on the CPU.
        validate: called every ``validate_every_steps`` and at the end; None: the last weights are the best.
        sample: called every ``sample_every_steps``, for the observer.
        init: initial weights, "<network>.<parameter>"; a checkpoint takes precedence.
        dataset_size: number of different pictures that the sampler draws from; None: unknown.
    """

    sampler: Sampler
    validate: Validate | None = None
    sample: Sample | None = None
    init: Mapping[str, Tensor] | None = None
    dataset_size: int | None = None


def train(
    training: Training, inputs: Inputs, folder: Path, observer: Observer, *, threads: int | None = None
) -> TrainResult:
    """Trains a recipe to its budget, from the newest checkpoint in ``folder`` if there is one.

    A run on one CPU that is killed at any time and started again ends with the same bytes as an uninterrupted run.

    Args:
        training: recipe and settings.
        inputs: batches, validation and initial weights.
        folder: checkpoints and curves.csv; no one else may write there.
        observer: receives progress and metrics.
        threads: of torch on the CPU; None: those of the checkpoint, else torch's own number. The result depends on it.
    Raises:
        TrainingInterrupted: SIGTERM or SIGINT arrived; a checkpoint is saved.
        NotFiniteError: a loss is NaN or infinite; the last good checkpoint is kept.
        ModelError: ``inputs.init`` does not fit the recipe.
        ValueError: the machine lacks the accelerator that the settings name.
    """
    common = training.settings.common
    checkpoint = load_checkpoint(folder)
    saved = checkpoint.metadata.machine if checkpoint else None
    accelerator = resolve_accelerator(common.accelerator)
    precision = saved.precision if saved else resolve_precision(common.precision, accelerator)
    if saved and saved.accelerator != accelerator:
        log.warning("the checkpoint was saved on %s, this is %s: results will differ", saved.accelerator, accelerator)
    if saved and threads is not None and saved.threads != threads:
        log.warning(
            "the checkpoint was trained with %d threads, this run uses %d: the result will not be bit-identical",
            *(saved.threads, threads),
        )
    with ExitStack() as stack:
        wanted = threads or (saved.threads if saved else None)
        used = stack.enter_context(repeatable(wanted, accelerator=accelerator))
        fabric = make_fabric(accelerator, common.devices, precision)
        machine = Machine(accelerator, precision, used)
        stop = stack.enter_context(StopRequest())
        loop = _build_loop(
            training, inputs, folder, observer, fabric, machine=machine, stop=stop, checkpoint=checkpoint
        )
        stack.callback(loop.batches.close)
        return loop.run()


def _build_loop(
    training: Training,
    inputs: Inputs,
    folder: Path,
    observer: Observer,
    fabric: Fabric,
    *,
    machine: Machine,
    stop: StopRequest,
    checkpoint: Checkpoint | None,
) -> TrainingLoop:
    common = training.settings.common
    seed_everything(common.seed)
    state = _initial_state(training, inputs, fabric, machine, checkpoint)
    if fabric.global_rank > 0:
        # The checkpoint has the first process's generators; the others need their own, and no exactness.
        seed_everything(hash((common.seed, fabric.global_rank, state.progress.step)) % 2**32)
    observers = Observers([observer] if fabric.is_global_zero else [])
    return TrainingLoop(
        settings=training.settings,
        fabric=fabric,
        machine=machine,
        state=state,
        batches=Prefetcher(inputs.sampler, stride=fabric.world_size),
        evaluation=AveragedEvaluation(state, inputs.validate, inputs.sample, active=fabric.is_global_zero),
        metrics=MetricsLog(fabric, state, observers, training.settings.config),
        saving=SavePolicy(fabric, state.progress, common, stop),
        folder=folder,
    )


def _initial_state(
    training: Training, inputs: Inputs, fabric: Fabric, machine: Machine, checkpoint: Checkpoint | None
) -> TrainingState:
    """The recipe with fresh weights, those of ``inputs.init``, or those of the checkpoint."""
    config = training.settings.config
    recipe = recipe_class(training.settings.recipe)(config).to(fabric.device)
    if inputs.init is not None and checkpoint is None:
        load_initial(recipe, inputs.init)
    if inputs.init is None and (warning := config.fresh_start_warning()):
        log.warning("%s", warning)
    recipe.set_dataset_size(inputs.dataset_size)
    recipe.train()
    averaged = {name: recipe.networks[name] for name in recipe.inference_networks}
    optimizers = PhaseOptimizers(fabric, recipe.networks, fused=machine.precision != "fp16")
    state = TrainingState(recipe, MovingAverage(averaged, config.ema_decay), optimizers)
    if checkpoint is not None:
        state.restore(checkpoint)
        fabric.strategy.precision.load_state_dict(checkpoint.metadata.scaler)
    return state
