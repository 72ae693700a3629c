"""The planner's step for norm layers: which frames share statistics, measured once for each shot."""

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
from stylegan_core.inference.render.bands import picture_rows
from stylegan_core.recipes.base import BaseRecipe, Conditions
from stylegan_core.storage.hashing import sha256_of
from stylegan_core.stylize_settings import RenderSettings

if TYPE_CHECKING:
    from stylegan_core.recipes.model import Model

log = logging.getLogger(__name__)

_TRIED = 3
"""Frames in place of one that cannot be read."""

Shot = tuple[int, ...]
"""Indices of frames of a job."""


def plan_norm_statistics(draft: Draft, model: Model, render: RenderSettings) -> Draft:
    """Gives the frames of each shot their statistics, and says whether tiles may be approximate.

    What an earlier run measured is used again, as long as its frames are still there and the same: a preview, or one
    more frame, redoes nothing.

    Args:
        draft: with its colours, directions and shots settled.
        model: the job's.
        render: with the statistics and tiles that are asked for.
    Raises:
        PlanError: the statistics that are asked for cannot be read, or are another model's.
    """
    job = draft.job
    asked = render.statistics if render.statistics in ("auto", "shot", "picture") else None
    if not instance_norms(model.recipe) and asked and render.tiles == "exact":
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
        job = _with_tiles(job, recipe, conditions, frozen=asked != "picture")
        draft = draft.with_job(job)
    if asked is None:
        return _given(draft, model, layers, Path(render.statistics).expanduser())
    if not layers or asked == "picture":
        return draft
    measured = _Measured(draft, model, conditions, render.statistics_frames)
    together = shots(job.frames, all_frames=asked == "shot")
    found = [(shot, measured.of([job.frames[index] for index in shot])) for shot in together]
    return _with_statistics(draft, [(shot, statistics) for shot, statistics in found if statistics is not None])


def shots(frames: Sequence[FrameTask], *, all_frames: bool = False) -> list[Shot]:
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
    """Statistics of the shots of a job: those that an earlier run measured, or measured now."""

    def __init__(self, draft: Draft, model: Model, conditions: Conditions, wanted: int | None) -> None:
        job = draft.job
        self._draft, self._job = draft, job
        self._recipe, self._conditions, self._wanted = model.recipe, conditions, wanted
        self._model = model.card.digest
        self._sources = FrameReader(job)
        said = job.settings.model_dump_json(include={"directions", "source_space", "working_space", "ocio"})
        own = {"strength": job.settings.strength} if accepts_strength(model.recipe) else {}
        self._settings = hashlib.sha256((said + json.dumps(own)).encode()).hexdigest()
        self._there: list[Statistics] | None = None
        self._hashes: dict[Path, str] = {}

    def of(self, shot: Sequence[FrameTask]) -> Statistics | None:
        """The statistics of a shot; None if none of its frames can be read."""
        return self._known(shot) or self._measure(shot)

    def _known(self, shot: Sequence[FrameTask]) -> Statistics | None:
        if self._there is None:
            self._there = [*_earlier(self._draft)]
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

    def _hash(self, frame: FrameTask) -> str | None:
        path = self._sources.path(frame)
        if path not in self._hashes:
            try:
                self._hashes[path] = sha256_of(path)
            except OSError:
                return None
        return self._hashes[path]

    def _measure(self, shot: Sequence[FrameTask]) -> Statistics | None:
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

    def _open(self, frame: FrameTask) -> Rows:
        picture, _ = self._sources.read(frame)
        return picture_rows(
            picture, space_of(picture, self._job.settings, self._sources.path(frame)), self._job.settings
        )

    def _readable(self, frames: Sequence[FrameTask], index: int) -> tuple[FrameTask, Rows, str] | None:
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
            log.warning("%s: it is measured anew", error)


def _name(frame: FrameTask) -> str:
    return frame.input if frame.index is None else f"{frame.input}#{frame.index}"


def _say(done: int, of: int) -> None:
    log.info("norm layer %d of %d is measured", done, of)


def _given(draft: Draft, model: Model, layers: dict[str, int], path: Path) -> Draft:
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
    return _with_statistics(draft, [(tuple(range(len(draft.job.frames))), statistics)])


def _with_tiles(job: Job, recipe: BaseRecipe, conditions: Conditions, *, frozen: bool) -> Job:
    field = receptive_field(recipe, conditions) or (frozen_field(recipe, conditions) if frozen else None)
    if field is not None:
        log.info("tiles of this network equal the whole frame: --tiles approximate changes nothing")
        return job
    return job.model_copy(update={"settings": job.settings.model_copy(update={"tiles": "approximate"})})
