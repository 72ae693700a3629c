"""The stage train: a model a training, from checkpoints in the user's cache to model folders and curves."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylegan_core.config import Params, Training
from stylegan_core.data.manifest import ManifestError, read_manifest
from stylegan_core.data.store import SampleStore
from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.model_folder import MODEL_CARD
from stylegan_core.threads import requested_threads
from tasks.shared.errors import StoppedError, UsageError

if TYPE_CHECKING:
    from stylegan_core.recipes.model import ModelCard
    from stylegan_core.training.observer import Observer
    from stylegan_core.training.persistence.run_folder import RunFolder
    from stylegan_core.training.result import TrainResult

_log = logging.getLogger(__name__)

_CACHE_LIMIT_BYTES = 20_000_000_000

Track = Callable[["TrainingJob"], "AbstractContextManager[Observer]"]
"""Opens the observers of a training, and closes them however it ends."""


@dataclass(frozen=True)
class TrainingJob:
    """One model to train.

    Attributes:
        training: what to run.
        folder: its checkpoints.
        data: digest of what it learns from.
        init: folder of the model that it starts from.
        init_digest: of that model.
    """

    training: Training
    folder: RunFolder
    data: str
    init: Path | None
    init_digest: str | None

    @property
    def budget_steps(self) -> int:
        """Generator steps that the settings ask for."""
        settings = self.training.settings
        return settings.config.total_steps(settings.common.devices)

    def is_finished(self) -> bool:
        """Whether outputs of this run were in place once, at this budget."""
        mark = self.folder.finished()
        if mark is None or mark.budget_steps != self.budget_steps:
            return False
        # A run that a limit stopped continues when the limit is changed.
        return mark.stopped_by == "budget" or mark.limit_minutes == self.training.settings.common.limit_minutes


@dataclass(frozen=True)
class TrainingPlan:
    """What the stage does.

    Attributes:
        jobs: in the order of the settings.
        stage: digest of all that the stage depends on: equal to the mark's, the stage was forced.
    """

    jobs: tuple[TrainingJob, ...]
    stage: str


def plan_trainings(params: Params, prepared: Path) -> TrainingPlan:
    """Names the run folders, and clears those that must start afresh.

    A training that is finished is taken from its folder, unless nothing changed since all of them were finished: then
    the stage was forced (``dvc repro -f``), and is really done again. A larger budget continues from the checkpoint, a
    smaller one starts afresh.

    Raises:
        UsageError: ``init_from`` names no model, or one of another recipe.
    """
    from stylegan_core.training.persistence.code_closure import code_closure_digest
    from stylegan_core.training.persistence.run_folder import RunFolder, data_digest, run_key

    manifest, store = read_manifest(prepared / "manifest.csv"), SampleStore.open(prepared / "store")
    jobs = []
    for training in params.trainings():
        init, init_digest = _initial_model(training)
        data = data_digest(store, manifest, training.shots)
        key = run_key(training, data, code_closure_digest(training.settings.recipe), init_digest)
        jobs.append(TrainingJob(training, RunFolder(key), data, init, init_digest))
    plan = TrainingPlan(tuple(jobs), _stage_digest(params, prepared, jobs))
    marks = [job.folder.finished() if job.is_finished() else None for job in jobs]
    forced = bool(jobs) and all(mark is not None and mark.stage == plan.stage for mark in marks)
    if forced:
        _log.info("nothing changed since the last time: training again from the start")
    for job in jobs:
        if _is_follower():
            continue
        with job.folder.lock():
            if forced or _is_beyond_budget(job):
                job.folder.clear()
    return plan


def train_model(
    job: TrainingJob, prepared: Path, output: Path, reports: Path, track: Track | None = None
) -> ModelCard | None:
    """Trains one model, or takes it from its folder, and writes ``output/<name>/`` and ``reports/<name>.csv``.

    Args:
        job: from ``plan_trainings``.
        prepared: the output of prepare.
        output: folder of the models.
        reports: folder of the curves.
        track: who watches; default: nobody.
    Returns:
        The model's card; None in all but the first process of a distributed run.
    Raises:
        UsageError: the model that ``init_from`` names does not fit the settings, or is damaged; or the recipe can learn
            nothing from the prepared data, as they are set.
        StoppedError: interrupted; a checkpoint is saved.
        NotFiniteError: a loss is not finite.
    """
    from stylegan_core.data.crops import CropSampler
    from stylegan_core.data.validation import validation_set
    from stylegan_core.recipes import recipe_class
    from stylegan_core.recipes.model import ModelError, load_networks
    from stylegan_core.training.interruption import TrainingInterrupted
    from stylegan_core.training.observer import Observers
    from stylegan_core.training.trainer import Inputs, train
    from stylegan_core.training.validation import Validator

    training = job.training
    config, common = training.settings.config, training.settings.common
    manifest, store = read_manifest(prepared / "manifest.csv"), SampleStore.open(prepared / "store")
    needs = recipe_class(training.settings.recipe).needs_with(config)
    try:
        sampler = CropSampler(
            store,
            manifest,
            content=needs.content,
            style=needs.style,
            paired=needs.paired,
            unpainted=needs.unpainted,
            crop_px=config.crop_px,
            batch_size=config.batch_size,
            seed=common.seed,
            shots=training.shots,
            labels=needs.labels,
            known_fraction=needs.known_fraction,
            zoom_min=needs.zoom_min,
        )
    except ManifestError as error:
        raise UsageError(
            f"{training.name}: {error} (`stylereel recipes` says what {training.settings.recipe} needs, docs/data.md "
            "how prepare reads it)"
        ) from error
    held_out = validation_set(store, manifest, paired=needs.paired, shots=training.shots, labels=needs.labels)
    validator = Validator(held_out) if held_out.areas else None
    if validator is None:
        _log.warning("nothing is held out of %s: no validation, the last weights are the best", training.name)
    with ExitStack() as stack:
        if not _is_follower():
            stack.enter_context(job.folder.lock())
        observer = stack.enter_context(track(job) if track and not _is_follower() else nullcontext(Observers([])))
        try:
            inputs = Inputs(
                sampler,
                validate=validator.measure if validator else None,
                sample=validator.grid if validator else None,
                init=load_networks(job.init) if job.init else None,
                dataset_size=sampler.pictures,
            )
            result = train(training, inputs, job.folder.path, observer, threads=requested_threads())
        except ModelError as error:
            raise UsageError(f"{training.name}: {error}") from error
        except TrainingInterrupted as interruption:
            raise StoppedError(f"training of {training.name} {interruption}") from interruption
        if _is_follower():
            return None
        return _write(job, result, store, output, reports)


def mark_finished(plan: TrainingPlan, output: Path, reports: Path) -> None:
    """Marks the runs, now that all outputs are in place, and removes outputs of trainings that are not asked for."""
    from stylegan_core.recipes.model import read_card
    from stylegan_core.training.persistence.run_folder import FinishedMark, trim_runs

    if _is_follower():
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


def _initial_model(training: Training) -> tuple[Path | None, str | None]:
    from stylegan_core.recipes.model import ModelError, read_card
    from stylegan_core.training.persistence.model_store import find_model

    name = training.settings.common.init_from
    if not name:
        return None, None
    try:
        folder = find_model(name)
        card = read_card(folder)
    except ModelError as error:
        raise UsageError(str(error)) from error
    if card.recipe != training.settings.recipe:
        raise UsageError(
            f"train.common.init_from: {folder} is a {card.recipe} model, and {training.name} trains "
            f"{training.settings.recipe}"
        )
    return folder, card.digest


def _stage_digest(params: Params, prepared: Path, jobs: list[TrainingJob]) -> str:
    from tasks.project.code import code_digest

    digest = hashlib.sha256(code_digest("train").encode())
    known: dict[str, Any] = {
        "jobs": [[job.training.name, job.folder.key] for job in jobs],
        "train": [t.model_dump(mode="json") for t in (job.training for job in jobs)],
        "settings": [job.training.settings.config.model_dump(mode="json") for job in jobs],
        "shots": [shot.model_dump(mode="json") for shot in params.shots],
    }
    digest.update(json.dumps(known, sort_keys=True, default=str).encode())
    for name in ("manifest.csv", "store/samples.json", "shots.json", "report.json"):
        path = prepared / name
        digest.update(name.encode() + (path.read_bytes() if path.is_file() else b""))
    return digest.hexdigest()


def _is_beyond_budget(job: TrainingJob) -> bool:
    from stylegan_core.training.persistence.checkpoint import checkpoint_step, list_checkpoints

    found = list_checkpoints(job.folder.path)
    beyond = bool(found) and checkpoint_step(found[0]) > job.budget_steps
    if beyond:
        _log.info("%s was trained for longer: starting afresh with the smaller budget", job.training.name)
    return beyond


def _is_follower() -> bool:
    """Whether this is one of the further processes that Fabric starts for several devices; they write nothing."""
    return int(os.environ.get("LOCAL_RANK", "0")) > 0
