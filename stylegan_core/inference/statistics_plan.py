"""The planner's step for norm layers: which frames share statistics, measured once for each shot."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from stylegan_core.frames.records import sha256_of
from stylegan_core.frames.unreadable import UnreadablePictureError
from stylegan_core.inference.bands import picture_rows
from stylegan_core.inference.colour_plan import space_of
from stylegan_core.inference.directions import conditions_of, heeds_strength
from stylegan_core.inference.frozen_statistics import (
    Statistics,
    StatisticsError,
    freeze,
    instance_norms,
    norm_layers,
    read_statistics,
    write_statistics,
)
from stylegan_core.inference.job import Directions, Job, JobFrame, PlanError
from stylegan_core.inference.measure_statistics import MOST_PIXELS, Rows, choose_frames, frozen_field, measure
from stylegan_core.inference.receptive_field import receptive_field
from stylegan_core.inference.sources import Sources
from stylegan_core.recipes.base import BaseRecipe, Conditions
from stylegan_core.stylize_settings import MannerSettings

if TYPE_CHECKING:
    from stylegan_core.recipes.model import Model

log = logging.getLogger(__name__)

_TRIED = 3
"""Frames in place of one that cannot be read."""

Shot = tuple[int, ...]
"""Indices of frames of a job."""


def settle_statistics(job: Job, model: Model, manner: MannerSettings) -> Job:
    """Gives the frames of each shot their statistics, and says whether tiles may be approximate.

    What an earlier run into the same folder measured is used again, as long as its frames are still there and the same:
    a preview, or one more frame, redoes nothing.

    Args:
        job: with its colours, directions and shots settled.
        model: the job's.
        manner: with the statistics and tiles that are asked for.
    Raises:
        PlanError: the statistics that are asked for cannot be read, or are another model's.
    """
    asked = manner.statistics if manner.statistics in ("auto", "shot", "picture") else None
    if not instance_norms(model.recipe) and asked and manner.tiles == "exact":
        return job
    recipe = model.recipe.to(job.device).eval()
    conditions = Conditions()
    if heeds_strength(recipe) or job.settings.directions != Directions():
        conditions = conditions_of(model, job.settings.directions, strength=job.settings.strength, device=job.device)
    layers = norm_layers(recipe, conditions)
    if manner.tiles == "approximate":
        job = _with_tiles(job, recipe, conditions, frozen=asked != "picture")
    if asked is None:
        return _given(job, model, layers, Path(manner.statistics).expanduser())
    if not layers or asked == "picture":
        return job
    frames = list(job.frames)
    measured = _Measured(job, model, conditions, manner.statistics_frames)
    for shot in shots(job.frames, all_frames=asked == "shot"):
        name = measured.of([frames[index] for index in shot])
        for index in shot:
            frames[index] = frames[index].model_copy(update={"statistics": name})
    return job.model_copy(update={"frames": tuple(frames)})


def shots(frames: Sequence[JobFrame], *, all_frames: bool = False) -> list[Shot]:
    """Frames that share statistics, in order.

    Args:
        frames: of the job, each with its shot.
        all_frames: pictures without a frame number share them too; else each of them stays for itself, as does the
            only frame of a shot.
    """
    found: dict[int, list[int]] = {}
    for index, frame in enumerate(frames):
        if all_frames or frame.number is not None or frame.index is not None:
            found.setdefault(frame.shot, []).append(index)
    return [tuple(shot) for shot in found.values() if all_frames or len(shot) > 1]


class _Measured:
    """Statistics of the shots of a job, found in its state folder or measured and put there."""

    def __init__(self, job: Job, model: Model, conditions: Conditions, wanted: int | None) -> None:
        self._job, self._recipe, self._conditions, self._wanted = job, model.recipe, conditions, wanted
        self._model = model.card.digest
        self._sources = Sources(job)
        said = job.settings.model_dump_json(include={"directions", "source_space", "working_space", "ocio"})
        own = {"strength": job.settings.strength} if heeds_strength(model.recipe) else {}
        self._settings = hashlib.sha256((said + json.dumps(own)).encode()).hexdigest()
        self._there: list[Statistics] | None = None
        self._hashes: dict[Path, str] = {}

    def of(self, shot: Sequence[JobFrame]) -> str | None:
        """The name of a shot's statistics; None if none of its frames can be read."""
        found = self._known(shot) or self._measure(shot)
        return keep(self._job, found) if found is not None else None

    def _known(self, shot: Sequence[JobFrame]) -> Statistics | None:
        if self._there is None:
            self._there = [*_kept(self._job)]
        by_name = {_name(frame): frame for frame in shot}
        for statistics in self._there:
            alike = (statistics.model, statistics.settings) == (self._model, self._settings)
            if self._wanted is not None and len(statistics.frames) != min(self._wanted, len(shot)):
                continue
            if (
                alike
                and statistics.frames
                and all(
                    name in by_name and self._hash(by_name[name]) == sha256
                    for name, sha256 in statistics.frames.items()
                )
            ):
                return statistics
        return None

    def _hash(self, frame: JobFrame) -> str | None:
        path = self._sources.path(frame)
        if path not in self._hashes:
            try:
                self._hashes[path] = sha256_of(path)
            except OSError:
                return None
        return self._hashes[path]

    def _measure(self, shot: Sequence[JobFrame]) -> Statistics | None:
        there = [frame for frame in shot if frame.missing is None]
        middle = self._readable(there, len(there) // 2)
        if middle is None:
            return None
        size_px = middle[1].height_px * middle[1].width_px
        chosen = [self._readable(there, index) for index in choose_frames(len(there), size_px, self._wanted)]
        opened = {_name(found[0]): found for found in chosen if found is not None} or {_name(middle[0]): middle}
        log.info(
            "measuring what the norm layers find in %d of the %d frames of %s", len(opened), len(shot), shot[0].input
        )
        rows: list[Callable[[], Rows]]
        if len(opened) * size_px <= MOST_PIXELS:
            rows = [lambda kept=kept: kept for _, kept, _ in opened.values()]  # type: ignore[misc]
        else:
            rows = [partial(self._open, frame) for frame, _, _ in opened.values()]
        del chosen, middle
        hashes = {name: sha256 for name, (_, _, sha256) in opened.items()}
        del opened
        found = measure(self._recipe, rows, self._conditions, progress=_say)
        return Statistics(found.layers, self._model, self._settings, hashes)

    def _open(self, frame: JobFrame) -> Rows:
        picture, _ = self._sources.read(frame)
        return picture_rows(
            picture, space_of(picture, self._job.settings, self._sources.path(frame)), self._job.settings
        )

    def _readable(self, frames: Sequence[JobFrame], index: int) -> tuple[JobFrame, Rows, str] | None:
        """A frame, or the next that can be read; damaged ones are named when their turn comes."""
        for frame in frames[index : index + _TRIED]:
            try:
                picture, state = self._sources.read(frame)
                rows = picture_rows(
                    picture, space_of(picture, self._job.settings, self._sources.path(frame)), self._job.settings
                )
            except (UnreadablePictureError, OSError):
                continue
            return frame, rows, state.sha256
        return None


def keep(job: Job, statistics: Statistics) -> str:
    """Puts statistics where the workers of a job look for them, and returns the name that frames have for them."""
    name = statistics.digest[:16]
    path = job.state_folder / f"statistics-{name}.safetensors"
    if not path.exists():
        write_statistics(path, statistics)
    return name


def _kept(job: Job) -> Iterator[Statistics]:
    for path in sorted(job.state_folder.glob("statistics-*.safetensors")):
        try:
            yield read_statistics(path)
        except StatisticsError as error:
            log.warning("%s: it is measured anew", error)


def _name(frame: JobFrame) -> str:
    return frame.input if frame.index is None else f"{frame.input}#{frame.index}"


def _say(done: int, of: int) -> None:
    log.info("norm layer %d of %d is measured", done, of)


def _given(job: Job, model: Model, layers: dict[str, int], path: Path) -> Job:
    if not layers:
        raise PlanError(f"{model.folder} is a {model.card.recipe} model without instance norm: there are no statistics")
    try:
        statistics = read_statistics(path)
        freeze(model.recipe, statistics)
    except StatisticsError as error:
        raise PlanError(
            f"{error}: --statistics takes auto, shot, picture, or a file that an earlier run left"
        ) from None
    if statistics.model != model.card.digest:
        raise PlanError(f"{path} was measured with another model than {model.folder}")
    name = keep(job, statistics)
    return job.model_copy(update={"frames": tuple(f.model_copy(update={"statistics": name}) for f in job.frames)})


def _with_tiles(job: Job, recipe: BaseRecipe, conditions: Conditions, *, frozen: bool) -> Job:
    field = receptive_field(recipe, conditions) or (frozen_field(recipe, conditions) if frozen else None)
    if field is not None:
        log.info("tiles of this network equal the whole frame: --tiles approximate changes nothing")
        return job
    return job.model_copy(update={"settings": job.settings.model_copy(update={"tiles": "approximate"})})
