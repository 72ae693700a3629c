"""The stage stylize: every shot with its model, from a store in the user's cache to the folders that DVC keeps.

DVC empties its outputs before a stage runs, so the work happens in the cache, where a kill or an edit of one frame
costs one frame; ``out/stylized`` is filled at the end.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stylegan_core.config import Params
from stylegan_core.data.manifest import ManifestError, read_manifest
from stylegan_core.data.subjects import Subject, find_subjects
from stylegan_core.frames.sequences.listing import list_frames
from stylegan_core.inference.conditioning.edit_vocabulary import OWN as OWN_VOCABULARY
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.plan import Plan
from stylegan_core.inference.job.report import Progress
from stylegan_core.inference.job.spec import Job, PlanError
from stylegan_core.inference.job.summary import summarize
from stylegan_core.inference.planning.conditioning_request import ConditioningRequest, plan_request_job
from stylegan_core.inference.planning.selection.select import input_folder, select
from stylegan_core.recipes.model import Model, ModelError, load_model
from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.cache import cache_folder
from stylegan_core.storage.state_folder import STATE_FOLDER
from tasks.shared.errors import InputsFailedError, UsageError
from tasks.shared.runner import Runner
from tasks.stylize.report import ProgressCallback, StylizeReport
from tasks.stylize.work import work_on

log = logging.getLogger(__name__)

LOCK_WAIT_S = 3600.0
LOG_EVERY_S = 10.0
KEPT_STORES = 3
"""Folders of a shot in the cache: those of the last models and settings."""


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
    root = (root or Path.cwd()).absolute()
    places = {"root": root, "models": models}
    items: list[StageItem] = []
    try:
        manifest = read_manifest(prepared / "manifest.csv")
        for training in params.trainings():
            model = load_model(models / training.name)
            if params.stylize.input is not None:
                if items:
                    raise PlanError(
                        "stylize.input is one folder, but there are several models: "
                        "`stylereel stylize INPUT OUTPUT --model NAME` takes one"
                    )
                asked = root / params.stylize.input
                name = asked.stem if asked.is_file() else input_folder(asked).name
                found = select(asked, cache_folder("stylize", name))
                folder, frames = found.input_folder, list(found.frames)
                items.append(_item(params, name, training.name, model, folder, frames, None, **places))
                continue
            subjects = find_subjects(
                manifest,
                prepared,
                root=root,
                shots=training.shots,
                paired=model.recipe.needs.paired,
                max_pictures=sys.maxsize,
            )
            for subject in subjects:
                if subject.kind == "shot":
                    name, folder, frames = subject.name, *_shot_frames(subject, prepared, root)
                else:
                    name, folder, frames = "test", *_pictures(subject, params, root)
                items.append(_item(params, name, training.name, model, folder, frames, subject, **places))
    except (ManifestError, ModelError, PlanError, ValueError, FileNotFoundError) as error:
        raise UsageError(f"stylize: {error}") from error
    if not items:
        raise UsageError(f"stylize: {prepared} lists neither shots nor test pictures; set stylize.input to a folder")
    return items


def stylize_item(item: StageItem, runner: Runner, progress: ProgressCallback | None = None) -> StylizeReport:
    """Works through an item's chunks in the cache.

    Raises:
        StoppedError: stopped; a rerun finishes.
    """
    return work_on(item.plan, item.model, runner, preview=None, progress=progress, lock_wait_s=LOCK_WAIT_S)


def publish_outputs(
    params: Params, items: Sequence[StageItem], reports: Sequence[StylizeReport], output: Path
) -> list[StylizeReport]:
    """Fills the stage's output: ``<name>/`` with the frames, ``<name>.mp4``, ``report.json``.

    Args:
        params: all settings.
        items: what was made.
        reports: one an item.
        output: folder of the stage; it is replaced.

    Returns:
        The reports with their movies.

    Raises:
        InputsFailedError: more than ``max_bad_fraction`` of an item's inputs failed; every one is named.
    """
    from stylegan_core.inference.delivery.preview import write_job_preview

    _stop_if_too_bad(reports, params.stylize.max_bad_fraction)
    shutil.rmtree(output, ignore_errors=True)
    shown, summary = [], {}
    for item, report in zip(items, reports, strict=True):
        folder = output / item.name
        folder.mkdir(parents=True)
        for frame in item.job.frames:
            if (made := item.job.output_path(frame)).is_file():
                _copy(made, folder / frame.output)
        movie = write_job_preview(item.job, output / f"{item.name}.mp4", fps=params.stylize.preview_fps)
        shown.append(replace(report, preview=movie))
        summary[item.name] = _facts(item, report, movie)
        _trim_cache(item)
    text = json.dumps(summary, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_bytes_atomically(output / "report.json", text.encode())
    for report in reports:
        for failure in report.failed:
            log.error("%s: %s", failure.path, failure.reason)
    return shown


def log_to_mlflow(items: Sequence[StageItem], reports: Sequence[StylizeReport]) -> None:
    """Adds the movie and the counts to the MLflow runs that made the models; warns where that cannot be done."""
    from tasks.shared.tracking import find_run_by_digest, log_results

    for item, report in zip(items, reports, strict=True):
        run_id = find_run_by_digest(item.model.card.digest)
        if run_id is None:
            log.warning("MLflow knows no run of the model %s", item.training)
            continue
        figures = {f"stylize/{item.name}/failed": float(len(report.failed))}
        if report.made:
            figures[f"stylize/{item.name}/frames_per_s"] = report.made / max(report.seconds, 1e-6)
        log_results(run_id, metrics=figures, files={"stylize": report.preview} if report.preview else {})


def counted(items: Sequence[StageItem], progress: Callable[[int, int], None] | None = None) -> ProgressCallback:
    """One count over all items from the progress of each.

    Args:
        items: in the order in which they are stylized.
        progress: called with frames done and frames in all; default: a line in the log every ten seconds.
    """
    total, before, last = sum(len(item.job.frames) for item in items), 0, 0
    told_s = time.monotonic()

    def tell(now: Progress) -> None:
        nonlocal before, last, told_s
        if now.done < last:  # the next item began
            before += last
        last = now.done
        if progress is not None:
            progress(before + now.done, total)
        elif time.monotonic() - told_s > LOG_EVERY_S:
            told_s = time.monotonic()
            log.info("stylized %d of %d, %.1f frames/s", before + now.done, total, now.frames_per_s)

    return tell


def _item(
    params: Params,
    name: str,
    training: str,
    model: Model,
    folder: Path,
    frames: Sequence[FrameTask],
    subject: Subject | None,
    *,
    root: Path,
    models: Path,
) -> StageItem:
    asked = params.stylize
    wishes = ConditioningRequest(
        asked.style_images,
        asked.edit,
        asked.direction,
        asked.regions,
        asked.elsewhere,
        root=root,
        regions_root=root,
        models=models,
        style_bank=asked.style_bank,
        vocabulary=root / OWN_VOCABULARY,
    )
    stores = cache_folder("stylize", name)
    plan = plan_request_job(
        frames,
        wishes,
        input_folder=folder,
        output_folder=stores,
        model=model,
        render=asked.render().model_copy(update={"ocio": asked.ocio or params.prepare.ocio}),
        source_space=params.prepare.content_space,
        chunk_frames=asked.chunk_frames,
        earlier=[store / STATE_FOLDER for store in _newest_first(stores)],
    )
    # The same model and settings in another checkout, as `dvc exp` makes them, find their frames done.
    key = hashlib.sha256(f"{model.card.digest} {plan.job.settings.digest()}".encode()).hexdigest()[:24]
    job = plan.job.model_copy(update={"output_folder": cache_folder("stylize", name, key)})
    return StageItem(name, training, replace(plan, job=job), model, subject)


def _shot_frames(subject: Subject, prepared: Path, root: Path) -> tuple[Path, list[FrameTask]]:
    """The plates of the shot: those that prepare listed, and those that it refused, which are named again."""
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


def _stop_if_too_bad(reports: Sequence[StylizeReport], max_bad_fraction: float) -> None:
    for report in reports:
        total = len(report.job.frames)
        if len(report.failed) > max_bad_fraction * total:
            raise InputsFailedError(
                f"{len(report.failed)} of {total} inputs failed, more than stylize.max_bad_fraction "
                f"({max_bad_fraction:g}) allows:\n{report.failures()}"
            )


def _facts(item: StageItem, report: StylizeReport, movie: Path | None) -> dict[str, object]:
    """For report.json: nothing that differs from run to run, so that equal work gives equal bytes."""
    return {
        "model": item.model.card.digest,
        "training": item.training,
        "recipe": item.model.card.recipe,
        "strength": item.job.settings.strength,
        "asked": summarize(item.job),
        "precision": item.job.settings.precision,
        "frames": len(item.job.frames),
        "failed": [
            {"path": failure.path.relative_to(item.job.input_folder).as_posix(), "reason": failure.reason}
            for failure in report.failed
        ],
        "movie": movie.name if movie else None,
    }


def _copy(source: Path, target: Path) -> None:
    """A file of its own: a link would let an edit of DVC's copy reach the cache."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    shutil.copyfile(source, part)
    part.replace(target)


def _newest_first(stores: Path) -> list[Path]:
    """A shot's stores in the cache, by the last change of their state folders; those without one come last."""

    def changed_ns(store: Path) -> int:
        try:
            return (store / STATE_FOLDER).stat().st_mtime_ns
        except OSError:  # another run deletes it now
            return 0

    return sorted((path for path in stores.iterdir() if path.is_dir()), key=changed_ns, reverse=True)


def _trim_cache(item: StageItem) -> None:
    """Deletes the shot's older stores; one that another run works in stays."""
    import filelock

    stores = _newest_first(item.job.output_folder.parent)
    for old in [path for path in stores if path != item.job.output_folder][KEPT_STORES - 1 :]:
        try:
            with filelock.FileLock(old / STATE_FOLDER / "lock", timeout=0):
                shutil.rmtree(old, ignore_errors=True)
        except (filelock.Timeout, OSError):
            continue
