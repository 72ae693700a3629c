"""Plan of the stage train: run folders, initial models, and what must start again."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylegan_core.config import Params, Training
from stylegan_core.data.manifest import read_manifest
from stylegan_core.data.store import SampleStore
from tasks.shared.errors import UsageError

if TYPE_CHECKING:
    from stylegan_core.recipes.model import ModelCard
    from stylegan_core.training.persistence.run_folder import RunFolder

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingJob:
    """One model to train.

    Attributes:
        training: what to run.
        folder: of its checkpoints.
        data: digest of the prepared data.
        init: folder of the initial model; None trains from scratch.
        init_digest: digest of the initial model.
    """

    training: Training
    folder: RunFolder
    data: str
    init: Path | None
    init_digest: str | None

    @property
    def budget_steps(self) -> int:
        """Step budget of the settings, in generator steps."""
        settings = self.training.settings
        return settings.config.total_steps(settings.common.devices)

    def is_finished(self) -> bool:
        """Whether this run was finished with the present budget."""
        mark = self.folder.finished()
        if mark is None or mark.budget_steps != self.budget_steps:
            return False
        # A run that a limit stopped continues when the limit is changed.
        return mark.stopped_by == "budget" or mark.limit_minutes == self.training.settings.common.limit_minutes


@dataclass(frozen=True)
class TrainingPlan:
    """The trainings of the stage.

    Attributes:
        jobs: in the order of the settings.
        stage: digest of all dependencies of the stage; if it equals that of every mark, the stage was forced.
    """

    jobs: tuple[TrainingJob, ...]
    stage: str


def plan_trainings(params: Params, prepared: Path) -> TrainingPlan:
    """Finds the run folder of every training, and clears those that must start from step 0.

    A finished training is taken from its folder. If nothing changed since all of them finished, the stage was forced
    (``dvc repro -f``), and every training starts again. A larger budget continues from the checkpoint, a smaller one
    starts again.

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
        _log.info("nothing changed since the last run: training again from step 0")
    for job in jobs:
        if is_follower():
            continue
        with job.folder.lock():
            if forced or _is_beyond_budget(job):
                job.folder.clear()
    return plan


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
    _warn_of_another_network(training, card)
    return folder, card.digest


def _warn_of_another_network(training: Training, card: ModelCard) -> None:
    """Warns where a training continues a model with a setting that did not exist when the model was trained."""
    now = training.settings.config
    before = type(now).of_model(card.config)
    for name in now.values_before_they_existed():
        had, has = getattr(before, name), getattr(now, name)
        if had != has:
            _log.warning(
                "train.common.init_from: the model was trained with %s: %s, and %s has %s: if they fit, the weights "
                "adapt to another network. To continue the same network, set train.%s.%s to %s",
                name,
                json.dumps(had),
                training.name,
                json.dumps(has),
                card.recipe,
                name,
                json.dumps(had),
            )


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
        _log.info("%s was trained beyond the new, smaller budget: starting again from step 0", job.training.name)
    return beyond


def is_follower() -> bool:
    """Whether this is one of the further processes that Fabric starts for several devices; they write nothing."""
    return int(os.environ.get("LOCAL_RANK", "0")) > 0
