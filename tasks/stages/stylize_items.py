"""Items of the stage stylize: every shot or folder with its model and its plan."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from stylegan_core.config import Params
from stylegan_core.data.manifest import ManifestError, read_manifest
from stylegan_core.data.subjects import Subject, find_subjects
from stylegan_core.frames.sequences.listing import list_frames
from stylegan_core.inference.conditioning.edit_vocabulary import OWN as OWN_VOCABULARY
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.plan import Plan
from stylegan_core.inference.job.spec import Job, PlanError
from stylegan_core.inference.planning.planner import plan_job
from stylegan_core.inference.planning.request import Request
from stylegan_core.inference.planning.selection.select import Selection, input_folder, select
from stylegan_core.recipes.model import Model, ModelError, load_model
from stylegan_core.storage.cache import cache_folder
from stylegan_core.storage.state_folder import STATE_FOLDER
from tasks.shared.errors import UsageError
from tasks.stages.stylize_stores import newest_first


@dataclass(frozen=True)
class StageItem:
    """A shot or a folder with its model.

    Attributes:
        name: of its folder below ``out/stylized``.
        training: name of the model's folder.
        plan: of a job that works in the user's cache; nothing of it is written yet.
        model: loaded.
        subject: what is known of the pictures; None for ``stylize.input``.
    """

    name: str
    training: str
    plan: Plan
    model: Model
    subject: Subject | None

    @property
    def job(self) -> Job:
        """The plan's."""
        return self.plan.job


def list_items(params: Params, prepared: Path, models: Path, *, root: Path | None = None) -> list[StageItem]:
    """What the stage makes: ``stylize.input``, or every shot and the test pictures of collections.

    Args:
        params: all settings.
        prepared: what prepare wrote.
        models: what train wrote.
        root: what relative paths in prepared data are relative to; default: the working folder.

    Raises:
        UsageError: data or a model is missing, or there is nothing to stylize.
    """
    planner = _StagePlanner(params, prepared, models, (root or Path.cwd()).absolute())
    try:
        items = planner.items()
    except (ManifestError, ModelError, PlanError, ValueError, FileNotFoundError) as error:
        raise UsageError(f"stylize: {error}") from error
    if not items:
        raise UsageError(f"stylize: {prepared} lists neither shots nor test pictures: set stylize.input to a folder")
    return items


@dataclass(frozen=True)
class _StagePlanner:
    """Plans the jobs of the stage; writes nothing."""

    params: Params
    prepared: Path
    models: Path
    root: Path

    def items(self) -> list[StageItem]:
        """The jobs of all trainings, in order."""
        manifest = read_manifest(self.prepared / "manifest.csv")
        trainings = self.params.trainings()
        if self.params.stylize.input is not None and len(trainings) > 1:
            raise PlanError(
                "stylize.input is one folder, but there are several models: "
                "`stylereel stylize INPUT OUTPUT --model NAME` takes one"
            )
        items: list[StageItem] = []
        for training in trainings:
            model = load_model(self.models / training.name)
            if self.params.stylize.input is not None:
                items.append(self._of_input(self.root / self.params.stylize.input, training.name, model))
                continue
            subjects = find_subjects(
                manifest,
                self.prepared,
                root=self.root,
                shots=training.shots,
                paired=model.recipe.needs.paired,
                max_pictures=sys.maxsize,
            )
            items += [self._of_subject(subject, training.name, model) for subject in subjects]
        return items

    def _of_input(self, source: Path, training: str, model: Model) -> StageItem:
        name = source.stem if source.is_file() else input_folder(source).name
        request = self._request(source, cache_folder("stylize", name))
        return self._item(name, training, model, None, request, select(request))

    def _of_subject(self, subject: Subject, training: str, model: Model) -> StageItem:
        if subject.kind == "shot":
            name, (folder, frames) = subject.name, _shot_frames(subject, self.prepared, self.root)
        else:
            name, (folder, frames) = "test", _pictures(subject, self.params, self.root)
        request = self._request(folder, stores := cache_folder("stylize", name))
        if subject.kind == "shot" and model.recipe.guided:
            request = replace(request, settings=request.settings.model_copy(update=self._own_key_frames(subject)))
        return self._item(name, training, model, subject, request, Selection(folder, stores, tuple(frames)))

    def _own_key_frames(self, subject: Subject) -> dict[str, object]:
        """Settings that guide a shot by its own painted frames, unless others are set."""
        if self.params.stylize.key_frames is not None or not subject.key_frames:
            return {}
        entry = json.loads((self.prepared / "shots.json").read_text(encoding="utf-8"))[subject.name]
        return {
            "key_frames": self.root / entry["painted"],
            "key_frames_space": self.params.prepare.style_space,
            "key_masks": self.root / entry["masks"] if entry.get("masks") else None,
        }

    def _request(self, source: Path, output: Path) -> Request:
        settings = self.params.stylize
        own: dict[str, object] = {"ocio": settings.ocio or self.params.prepare.ocio}
        for name in ("key_frames", "key_masks"):
            path = getattr(settings, name)
            own[name] = None if path is None else self.root / path
        return Request(
            source,
            output,
            settings=settings.model_copy(update=own),
            source_space=self.params.prepare.content_space,
            root=self.root,
            regions_root=self.root,
            models=self.models,
            vocabulary=self.root / OWN_VOCABULARY,
        )

    def _item(
        self, name: str, training: str, model: Model, subject: Subject | None, request: Request, selection: Selection
    ) -> StageItem:
        earlier = [store / STATE_FOLDER for store in newest_first(selection.output_folder)]
        plan = plan_job(request, selection, model, earlier=earlier)
        # The same model and settings in another checkout, as `dvc exp` makes them, find their frames done.
        key = hashlib.sha256(f"{model.card.digest} {plan.job.settings.digest()}".encode()).hexdigest()[:24]
        job = plan.job.model_copy(update={"output_folder": cache_folder("stylize", name, key)})
        return StageItem(name, training, replace(plan, job=job), model, subject)


def _shot_frames(subject: Subject, prepared: Path, root: Path) -> tuple[Path, list[FrameTask]]:
    """The plates of the shot: those that prepare listed, and those that it refused, so that they are reported again."""
    shots = json.loads((prepared / "shots.json").read_text(encoding="utf-8"))
    refused = json.loads((prepared / "report.json").read_text(encoding="utf-8"))["refused"]
    entry = shots[subject.name]
    known = {still.frame for still in subject.stills}
    bad = {(root / refusal["path"]).resolve() for refusal in refused}
    plates = list_frames(root / entry["plates"], entry.get("frames"))
    chosen = [plate for plate in plates if plate.number in known or plate.path.resolve() in bad]
    folder = chosen[0].path.parent if chosen else root
    names = [(plate.relative.as_posix(), plate.number) for plate in chosen]
    return folder, [FrameTask(input=name, output=name, number=number) for name, number in names]


def _pictures(subject: Subject, params: Params, root: Path) -> tuple[Path, list[FrameTask]]:
    """Test pictures of a collection, below its folder where that is known; as no sequence, they have no numbers."""
    paths = [still.content.absolute() for still in subject.stills]
    given = (root / params.prepare.content).absolute() if params.prepare.content else None
    inside = given is not None and all(path.is_relative_to(given) for path in paths)
    folder = given if given is not None and inside else Path(os.path.commonpath([path.parent for path in paths]))
    names = [path.relative_to(folder).as_posix() for path in paths]
    return folder, [FrameTask(input=name, output=name) for name in names]
