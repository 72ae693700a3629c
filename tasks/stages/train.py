"""The stage train: one model per training, from checkpoints in the user's cache to model folders and curves."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from stylegan_core.config import Training
from stylegan_core.data.manifest import Manifest, ManifestError, read_manifest
from stylegan_core.data.store import SampleStore
from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.model_folder import MODEL_CARD
from stylegan_core.threads import requested_threads
from tasks.shared.errors import StoppedError, UsageError
from tasks.stages.training_plan import TrainingJob, TrainingPlan, is_follower

if TYPE_CHECKING:
    from stylegan_core.data.crops import CropSampler
    from stylegan_core.data.store import Samples
    from stylegan_core.recipes.model import ModelCard
    from stylegan_core.training.observer import Observer
    from stylegan_core.training.result import TrainResult
    from stylegan_core.training.trainer import Inputs
    from stylegan_core.training.validation import Validator

_log = logging.getLogger(__name__)

_CACHE_LIMIT_BYTES = 20_000_000_000

Track = Callable[[TrainingJob], "AbstractContextManager[Observer]"]
"""Opens the observers of a training, and closes them however it ends."""


def train_model(
    job: TrainingJob, prepared: Path, output: Path, reports: Path, track: Track | None = None
) -> ModelCard | None:
    """Trains one model, or takes it from its run folder; writes ``output/<name>/`` and ``reports/<name>.csv``.

    Args:
        job: from ``plan_trainings``.
        prepared: output of prepare.
        output: folder of the models.
        reports: folder of the curves.
        track: opens the observers; default: none.
    Returns:
        The model's card; None in all but the first process of a distributed run.
    Raises:
        UsageError: the initial model does not fit the settings or is damaged, or the prepared data lack what the recipe
            needs.
        StoppedError: interrupted; a checkpoint is saved.
        NotFiniteError: a loss is not finite.
    """
    from stylegan_core.recipes.model import ModelError
    from stylegan_core.training.interruption import TrainingInterrupted
    from stylegan_core.training.observer import Observers
    from stylegan_core.training.trainer import train

    training = job.training
    manifest, store = read_manifest(prepared / "manifest.csv"), SampleStore.open(prepared / "store")
    guides = _guides(training, manifest, store)
    sampler, validator = _sampler(training, manifest, store, guides), _validator(training, manifest, store, guides)
    with ExitStack() as stack:
        if not is_follower():
            stack.enter_context(job.folder.lock())
        observer = stack.enter_context(track(job) if track and not is_follower() else nullcontext(Observers([])))
        try:
            inputs = _inputs(job, sampler, validator)
            result = train(training, inputs, job.folder.path, observer, threads=requested_threads())
        except ModelError as error:
            raise UsageError(f"{training.name}: {error}") from error
        except TrainingInterrupted as interruption:
            raise StoppedError(f"training of {training.name} {interruption}") from interruption
        if is_follower():
            return None
        return _write(job, result, store, output, reports)


def mark_finished(plan: TrainingPlan, output: Path, reports: Path) -> None:
    """Marks the runs as finished, and removes the outputs of trainings that params.yaml no longer lists."""
    from stylegan_core.recipes.model import read_card
    from stylegan_core.training.persistence.run_folder import FinishedMark, trim_runs

    if is_follower():
        return
    names = {job.training.name for job in plan.jobs}
    for folder in output.iterdir():
        if folder.name not in names and (folder / MODEL_CARD).is_file():
            shutil.rmtree(folder)
    for curves in reports.glob("*.csv"):
        if curves.stem not in names:
            curves.unlink()
    for job in plan.jobs:
        mark = FinishedMark(
            budget_steps=job.budget_steps,
            limit_minutes=job.training.settings.common.limit_minutes,
            stopped_by=read_card(output / job.training.name).stopped_by,
            stage=plan.stage,
        )
        job.folder.mark_finished(mark)
    trim_runs([job.folder for job in plan.jobs], _CACHE_LIMIT_BYTES)


def _guides(training: Training, manifest: Manifest, store: SampleStore) -> dict[int, Samples] | None:
    from stylegan_core.motion.training_guides import training_guides
    from stylegan_core.recipes import recipe_class

    needs = recipe_class(training.settings.recipe).needs_with(training.settings.config)
    if not needs.guided:
        return None
    _log.info("%s: guiding the stored frames of each shot by its key frames", training.name)
    return training_guides(store, manifest, training.shots, unpainted=needs.unpainted)


def _sampler(
    training: Training, manifest: Manifest, store: SampleStore, guides: dict[int, Samples] | None
) -> CropSampler:
    from stylegan_core.data.crops import CropSampler
    from stylegan_core.recipes import recipe_class

    config = training.settings.config
    needs = recipe_class(training.settings.recipe).needs_with(config)
    try:
        return CropSampler(
            store,
            manifest,
            content=needs.content,
            style=needs.style,
            paired=needs.paired,
            unpainted=needs.unpainted,
            crop_px=config.crop_px,
            batch_size=config.batch_size,
            seed=training.settings.common.seed,
            shots=training.shots,
            labels=needs.labels,
            known_fraction=needs.known_fraction,
            zoom_min=needs.zoom_min,
            content_filter=needs.content_filter,
            mirror=needs.mirror,
            guides=guides,
        )
    except ManifestError as error:
        raise UsageError(
            f"{training.name}: {error} (`stylereel recipes` lists what {training.settings.recipe} needs; docs/data.md "
            "describes how prepare reads it)"
        ) from error


def _validator(
    training: Training, manifest: Manifest, store: SampleStore, guides: dict[int, Samples] | None
) -> Validator | None:
    from stylegan_core.data.validation import validation_set
    from stylegan_core.recipes import recipe_class
    from stylegan_core.training.validation import Validator

    needs = recipe_class(training.settings.recipe).needs_with(training.settings.config)
    held_out = validation_set(
        store, manifest, paired=needs.paired, shots=training.shots, labels=needs.labels, guides=guides
    )
    if held_out.areas:
        return Validator(held_out)
    _log.warning("%s has no held-out data: without validation, the last weights count as the best", training.name)
    return None


def _inputs(job: TrainingJob, sampler: CropSampler, validator: Validator | None) -> Inputs:
    from stylegan_core.recipes.model import load_networks
    from stylegan_core.training.trainer import Inputs

    return Inputs(
        sampler,
        validate=validator.measure if validator else None,
        sample=validator.grid if validator else None,
        init=load_networks(job.init) if job.init else None,
        dataset_size=sampler.pictures,
    )


def _write(job: TrainingJob, result: TrainResult, store: SampleStore, output: Path, reports: Path) -> ModelCard:
    from stylegan_core.recipes.model import save_model
    from stylegan_core.training.curves import write_curves
    from stylegan_core.training.persistence.model_store import keep_model

    training = job.training
    folder = output / training.name
    card = save_model(
        folder,
        recipe=training.settings.recipe,
        config=training.settings.config,
        working_space=store.working_space,
        sample_type=store.sample_type,
        steps=result.steps,
        images_seen=result.images_seen,
        chosen=training.settings.common.weights,
        last=result.last,
        best=result.best,
        networks=result.networks,
        validation=result.validation,
        init_from=job.init_digest,
        shots=training.shots,
        stopped_by=result.stopped_by,
        ocio=store.ocio,
    )
    write_curves(folder / "curves.csv", result.history)
    write_bytes_atomically(reports / f"{training.name}.csv", (folder / "curves.csv").read_bytes())
    keep_model(folder)
    _log.info(
        "%s: %d steps, %d images, best at step %d, digest %s",
        *(folder, result.steps, result.images_seen, result.best_step, card.digest[:16]),
    )
    return card
