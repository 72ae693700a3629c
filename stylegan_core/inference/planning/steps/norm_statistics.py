"""The planner's step for instance norm: the frames that share statistics, and the statistics of each shot."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.inference.conditioning.conditions import accepts_strength, conditions_of
from stylegan_core.inference.job.frame_settings import Conditioning
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.plan import Draft
from stylegan_core.inference.job.spec import Job, PlanError, statistics_file
from stylegan_core.inference.network.measure_norm_statistics import (
    MOST_PIXELS,
    Rows,
    choose_frames,
    frozen_field,
    measure,
)
from stylegan_core.inference.network.norm_statistics import (
    Statistics,
    StatisticsError,
    encode_statistics,
    freeze,
    instance_norms,
    norm_layers,
    read_statistics,
)
from stylegan_core.inference.network.receptive_field import receptive_field
from stylegan_core.inference.reading.colour import space_of
from stylegan_core.inference.reading.frame_reader import FrameReader
from stylegan_core.inference.reading.picture_rows import picture_rows
from stylegan_core.recipes.base import BaseRecipe, Conditions
from stylegan_core.storage.hashing import sha256_of
from stylegan_core.stylize_settings import RenderSettings

if TYPE_CHECKING:
    from stylegan_core.recipes.model import Model

log = logging.getLogger(__name__)

_ATTEMPTS = 3
"""Frames that are tried if one cannot be read."""

Shot = tuple[int, ...]
"""Indices of frames of a job."""


def plan_norm_statistics(draft: Draft, model: Model, render: RenderSettings) -> Draft:
    """Fills in the statistics of each shot, and whether tiles may be approximate.

    Statistics of an earlier run are used again as long as the frames that they were measured on exist and are the same:
    a preview, or one more frame, measures nothing again.

    Args:
        draft: with its colour spaces, conditioning and shots.
        model: the job's.
        render: with the statistics and tiles.
    Raises:
        PlanError: the file of statistics cannot be read, or is another model's.
    """
    job = draft.job
    mode = render.statistics if render.statistics in ("auto", "shot", "picture") else None
    if not instance_norms(model.recipe) and mode and render.tiles == "exact":
        return draft
    recipe = model.recipe.to(job.device).eval()
    conditions = Conditions()
    if accepts_strength(recipe) or job.settings.directions != Conditioning():
        settings = job.settings
        conditions = conditions_of(
            model, settings.directions, settings.colour, strength=settings.strength, device=job.device
        )
    layers = norm_layers(recipe, conditions)
    if render.tiles == "approximate":
        job = _with_tiles(job, recipe, conditions, frozen=mode != "picture")
        draft = draft.with_job(job)
    if mode is None:
        return _from_file(draft, model, layers, Path(render.statistics).expanduser())
    if not layers or mode == "picture":
        return draft
    source = _StatisticsSource(draft, model, conditions, render.statistics_frames)
    shared = shots(job.frames, all_frames=mode == "shot")
    found = [(shot, source.of([job.frames[index] for index in shot])) for shot in shared]
    return _with_statistics(draft, [(shot, statistics) for shot, statistics in found if statistics is not None])


def shots(frames: Sequence[FrameTask], *, all_frames: bool = False) -> list[Shot]:
    """Frames that share statistics, in order.

    Args:
        frames: of the job, each with its shot.
        all_frames: whether pictures without a frame number share statistics too; else each of them has its own, as
            has the only frame of a shot.
    """
    found: dict[int, list[int]] = {}
    for index, frame in enumerate(frames):
        if all_frames or frame.number is not None or frame.index is not None:
            found.setdefault(frame.shot, []).append(index)
    return [tuple(shot) for shot in found.values() if all_frames or len(shot) > 1]


class _StatisticsSource:
    """Statistics of the shots of a job: from an earlier run, or measured now."""

    def __init__(self, draft: Draft, model: Model, conditions: Conditions, count: int | None) -> None:
        job = draft.job
        self._draft, self._job = draft, job
        self._recipe, self._conditions, self._count = model.recipe, conditions, count
        self._model = model.card.digest
        self._reader = FrameReader(job)
        common = job.settings.model_dump_json(include={"directions", "source_space", "working_space", "ocio"})
        strength = {"strength": job.settings.strength} if accepts_strength(model.recipe) else {}
        self._settings = hashlib.sha256((common + json.dumps(strength)).encode()).hexdigest()
        self._earlier: list[Statistics] | None = None
        self._hashes: dict[Path, str] = {}

    def of(self, shot: Sequence[FrameTask]) -> Statistics | None:
        """The statistics of a shot; None if none of its frames can be read."""
        return self._known(shot) or self._measure(shot)

    def _known(self, shot: Sequence[FrameTask]) -> Statistics | None:
        if self._earlier is None:
            self._earlier = [*_earlier(self._draft)]
        by_name = {_name(frame): frame for frame in shot}
        for statistics in self._earlier:
            if (statistics.model, statistics.settings) != (self._model, self._settings) or not statistics.frames:
                continue
            if self._count is not None and len(statistics.frames) != min(self._count, len(shot)):
                continue
            if all(n in by_name and self._hash(by_name[n]) == sha256 for n, sha256 in statistics.frames.items()):
                return statistics
        return None

    def _hash(self, frame: FrameTask) -> str | None:
        path = self._reader.path(frame)
        if path not in self._hashes:
            try:
                self._hashes[path] = sha256_of(path)
            except OSError:
                return None
        return self._hashes[path]

    def _measure(self, shot: Sequence[FrameTask]) -> Statistics | None:
        existing = [frame for frame in shot if frame.missing is None]
        middle = self._readable(existing, len(existing) // 2)
        if middle is None:
            return None
        size_px = middle[1].height_px * middle[1].width_px
        chosen = [self._readable(existing, index) for index in choose_frames(len(existing), size_px, self._count)]
        opened = {_name(found[0]): found for found in chosen if found is not None} or {_name(middle[0]): middle}
        log.info("measuring the norm statistics of %d of the %d frames of %s", len(opened), len(shot), shot[0].input)
        rows: list[Callable[[], Rows]]
        if len(opened) * size_px <= MOST_PIXELS:
            rows = [lambda kept=kept: kept for _, kept, _ in opened.values()]  # type: ignore[misc]
        else:
            rows = [partial(self._open, frame) for frame, _, _ in opened.values()]
        del chosen, middle
        hashes = {name: sha256 for name, (_, _, sha256) in opened.items()}
        del opened
        found = measure(self._recipe, rows, self._conditions, progress=_log_progress)
        return Statistics(found.layers, self._model, self._settings, hashes)

    def _open(self, frame: FrameTask) -> Rows:
        picture, _ = self._reader.read(frame)
        return picture_rows(
            picture, space_of(picture, self._job.settings, self._reader.path(frame)), self._job.settings
        )

    def _readable(self, frames: Sequence[FrameTask], index: int) -> tuple[FrameTask, Rows, str] | None:
        """A frame, or the next that can be read; damaged ones are reported when they are stylized."""
        for frame in frames[index : index + _ATTEMPTS]:
            try:
                picture, state = self._reader.read(frame)
                rows = picture_rows(
                    picture, space_of(picture, self._job.settings, self._reader.path(frame)), self._job.settings
                )
            except (UnreadablePictureError, OSError):
                continue
            return frame, rows, state.sha256
        return None


def _with_statistics(draft: Draft, found: Sequence[tuple[Shot, Statistics]]) -> Draft:
    """Names the statistics of each shot in its frames, and adds them to the artifacts."""
    frames = list(draft.job.frames)
    for shot, statistics in found:
        name = statistics.digest[:16]
        draft = draft.with_artifact(statistics_file(name), encode_statistics(statistics))
        for index in shot:
            frames[index] = frames[index].model_copy(update={"statistics": name})
    return draft.with_job(draft.job.model_copy(update={"frames": tuple(frames)}))


def _earlier(draft: Draft) -> Iterator[Statistics]:
    for path in draft.earlier_artifacts(statistics_file("*")):
        try:
            yield read_statistics(path)
        except StatisticsError as error:
            log.warning("%s: measuring again", error)


def _name(frame: FrameTask) -> str:
    return frame.input if frame.index is None else f"{frame.input}#{frame.index}"


def _log_progress(done: int, of: int) -> None:
    log.info("measured norm layer %d of %d", done, of)


def _from_file(draft: Draft, model: Model, layers: dict[str, int], path: Path) -> Draft:
    if not layers:
        raise PlanError(f"{model.folder} is a {model.card.recipe} model without instance norm: remove --statistics")
    try:
        statistics = read_statistics(path)
        freeze(model.recipe, statistics)
    except StatisticsError as error:
        raise PlanError(f"{error}: --statistics must be auto, shot, picture, or a file of an earlier run") from None
    if statistics.model != model.card.digest:
        raise PlanError(f"{path} contains the statistics of another model than {model.folder}")
    return _with_statistics(draft, [(tuple(range(len(draft.job.frames))), statistics)])


def _with_tiles(job: Job, recipe: BaseRecipe, conditions: Conditions, *, frozen: bool) -> Job:
    field = receptive_field(recipe, conditions) or (frozen_field(recipe, conditions) if frozen else None)
    if field is not None:
        log.info("tiles of this network are exact: --tiles approximate has no effect")
        return job
    return job.model_copy(update={"settings": job.settings.model_copy(update={"tiles": "approximate"})})
