"""Models at work on frames: one over the whole, or several mixed by regions, each under its directions."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.inference.conditioning.conditions import accepts_strength
from stylegan_core.inference.job.frame_settings import Conditioning, Precision
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import Job, PlanError
from stylegan_core.inference.network.norm_statistics import StatisticsError, freeze, read_statistics
from stylegan_core.inference.network.translate import Pixels
from stylegan_core.inference.reading.decode import Decoded
from stylegan_core.inference.render.bands import picture_rows, unpainted
from stylegan_core.inference.render.conditioned_model import ConditionedModel, FrameOverrides
from stylegan_core.inference.render.large_frames import encode_in_bands
from stylegan_core.inference.render.temporal_smoother import TemporalSmoother
from stylegan_core.recipes.base import BaseRecipe
from stylegan_core.recipes.model import Model, load_model

_MOST_FROZEN = 3
"""Shots that chunks are at work on at the same time; a network is copied for each."""
BYTES_PER_PIXEL = 64
"""Of a frame in flight: source, float32 before and after, and what carrying over and encoding need for a moment."""
_MIXING_BYTES, _WEIGHT_BYTES, _PICTURE_BYTES, _WINDOW_BYTES = 36, 4, 12, 40
_BACKDROP = -1

NetworkOutput = Pixels | Picture


class FrameRenderer:
    """What a job makes of its frames; as many threads as ``batches_at_once`` says may ask it."""

    def __init__(self, job: Job, model: Model) -> None:
        """Loads the models of the regions and prepares all references.

        Args:
            job: from ``plan_job`` or ``read_job``.
            model: the job's.

        Raises:
            PlanError: a reference or a region's model is not the one that was planned with.
            ModelError: a region's model cannot be loaded.
        """
        settings = job.settings
        self._job = job
        self._steadier = TemporalSmoother(settings) if settings.blend_frames else None
        self._models = {model.card.digest: model}
        self._painters: list[ConditionedModel] = []
        self._arguments: list[tuple[Model, Conditioning, float, Precision]] = []
        self._steady: set[int] = set()  # painters that the statistics were measured for
        self._frozen: OrderedDict[tuple[int, str], ConditionedModel] = OrderedDict()
        self._freezing, self._large = threading.Lock(), threading.Lock()
        self._known: dict[tuple[object, ...], int] = {}
        self._device, self._recipe = job.device, model.recipe
        self._heeds_strength = accepts_strength(model.recipe)
        self._rest: tuple[int, float] | None = None
        if not settings.regions or settings.elsewhere == "style":
            painter = self._painter(model, settings.directions, settings.strength, settings.precision)
            self._rest = (painter, blend_back_strength(model.recipe, settings.strength))
        self._carried = 1.0 if settings.regions or self._rest is None else self._rest[1]
        self._by_regions = bool(settings.regions)
        self._regions: list[tuple[int, float]] = []  # painter and how much of its change, of each region
        for region in settings.regions:
            if region.shows_picture:
                self._regions.append((_BACKDROP, region.strength))
                continue
            chosen = model
            if region.model_folder is not None and region.model_digest != model.card.digest:
                chosen = load_model(region.model_folder)
                if chosen.card.digest != region.model_digest:
                    raise PlanError(f"{region.model_folder} was trained again since the job was planned: plan again")
                chosen = self._models.setdefault(chosen.card.digest, chosen)
            painter = self._painter(chosen, region.directions, region.strength, region.precision)
            self._regions.append((painter, blend_back_strength(chosen.recipe, region.strength)))

    @property
    def batches_at_once(self) -> int:
        """On a CPU two: while the last picture of one is at work, the other cores begin with the next."""
        return 2 if self._device == "cpu" and not self._by_regions and self._steadier is None else 1

    def carried(self, frame: FrameTask) -> float:
        """How much of the answer's change is carried over to a frame's source; of regions, a factor on them all."""
        if frame.missing == "black":
            return 0.0
        if frame.strength is None:
            return self._carried
        return frame.strength if self._by_regions else blend_back_strength(self._recipe, frame.strength)

    def answers(self, batch: Sequence[Decoded]) -> Sequence[NetworkOutput]:
        """The answers to frames of one size and shot; the finished picture of one that is painted in bands."""
        if not batch[0].in_bands:
            return self.paint(batch)
        with self._large:  # one alone fills the memory that it may
            return [self._finished(view) for view in batch]

    def _finished(self, view: Decoded) -> Picture:
        assert self._rest is not None
        settings, strength = self._job.settings, self.carried(view.frame)
        rows = picture_rows(view.picture, view.space, settings)
        painter = self._with_statistics(self._rest[0], view.frame)
        bands = painter.bands(rows, self._own(view.frame)) if strength > 0 else unpainted(rows)
        return encode_in_bands(view, bands, settings, strength=strength)

    def paint(self, batch: Sequence[Decoded]) -> Sequence[Pixels]:
        """The answers to frames of one size and shot, (H, W, 3) float32 in the working space, not clipped."""
        if not self._by_regions:
            return self._paint_whole(batch)
        results = [decoded.before_unit.copy() for decoded in batch]
        for decoded, result in zip(batch, results, strict=True):
            self._show_backdrops(decoded, result)
        for index in range(len(self._painters)):
            amounts = [self._amount(decoded, index) for decoded in batch]
            touched = [(at, amount) for at, amount in enumerate(amounts) if amount is not None]
            if not touched:
                continue
            after = self._answers(index, [batch[at] for at, _ in touched])
            for (at, amount), painted in zip(touched, after, strict=True):
                change = np.subtract(painted, batch[at].before_unit, out=painted)
                change *= amount[:, :, None]
                results[at] += change
        return results

    def _paint_whole(self, batch: Sequence[Decoded]) -> Sequence[Pixels]:
        assert self._rest is not None
        alike: dict[FrameOverrides, list[int]] = {}
        for at, decoded in enumerate(batch):
            if self.carried(decoded.frame) > 0:
                alike.setdefault(self._own(decoded.frame), []).append(at)
        results = [decoded.before_unit for decoded in batch]
        for own, members in alike.items():
            painted = self._answers(self._rest[0], [batch[at] for at in members], own)
            for at, after in zip(members, painted, strict=True):
                results[at] = after
        return results

    def _answers(self, painter: int, batch: Sequence[Decoded], own: FrameOverrides = (None, None)) -> Sequence[Pixels]:
        """New arrays: what a painter makes of frames, steadied along their windows where they have any."""
        paint = self._with_statistics(painter, batch[0].frame).paint
        if self._steadier is None:
            return list(paint(np.stack([decoded.before_unit for decoded in batch]), own))
        steadied = self._steadier.steadied

        def one(before_unit: Pixels) -> Pixels:
            answer: Pixels = paint(before_unit[None], own)[0]
            return answer

        return [
            one(decoded.before_unit)
            if decoded.glimpse is None
            else steadied(decoded.glimpse, decoded.window, one, (painter, own, decoded.frame.statistics)).copy()
            for decoded in batch
        ]

    def _own(self, frame: FrameTask) -> FrameOverrides:
        return (frame.strength if self._heeds_strength else None, frame.style_weights)

    def _with_statistics(self, painter: int, frame: FrameTask) -> ConditionedModel:
        """A painter as the statistics of a frame's shot have it."""
        path = self._job.statistics_path(frame) if painter in self._steady else None
        if path is None:
            return self._painters[painter]
        key = (painter, path.name)
        with self._freezing:
            if key not in self._frozen:
                model, directions, strength, precision = self._arguments[painter]
                try:
                    model = replace(model, recipe=freeze(model.recipe, read_statistics(path)))
                except StatisticsError as error:
                    raise PlanError(f"{error}: plan again") from error
                self._frozen[key] = self._built(model, directions, strength, precision)
                while len(self._frozen) > _MOST_FROZEN:
                    self._frozen.popitem(last=False)
            self._frozen.move_to_end(key)
            return self._frozen[key]

    def _built(self, model: Model, directions: Conditioning, strength: float, precision: Precision) -> ConditionedModel:
        approximate = self._job.settings.tiles == "approximate"
        return ConditionedModel(
            model,
            directions,
            strength,
            precision=precision,
            device=self._device,
            back_end=self._job.settings.back_end,
            approximate_tiles=approximate,
        )

    def _painter(self, model: Model, directions: Conditioning, strength: float, precision: Precision) -> int:
        """Its index; regions that ask the same of the same model share a run."""
        by_recipe = strength if accepts_strength(model.recipe) else None
        key = (model.card.digest, directions.model_dump_json(), by_recipe, precision)
        if key not in self._known:
            self._known[key] = len(self._painters)
            self._arguments.append((model, directions, strength, precision))
            self._painters.append(self._built(*self._arguments[-1]))
            if model.card.digest == self._job.model_digest and directions == self._job.settings.directions:
                self._steady.add(self._known[key])
        return self._known[key]

    def _amount(self, decoded: Decoded, painter: int) -> Pixels | None:
        """(H, W), how much of a painter's change each pixel of a frame gets; None is nothing anywhere."""
        assert decoded.regions is not None
        shares = [*zip(decoded.regions.weights, self._regions, strict=True)]
        if self._rest is not None:
            shares.append((decoded.regions.rest, self._rest))
        amount: Pixels | None = None
        for weight, (whose, strength) in shares:
            if whose == painter and weight is not None and strength > 0:
                part = weight * np.float32(strength)
                amount = part if amount is None else amount + part
        return amount

    def _show_backdrops(self, decoded: Decoded, result: Pixels) -> None:
        assert decoded.regions is not None
        found = zip(decoded.regions.weights, decoded.regions.pictures, self._regions, strict=True)
        for weight, picture, (_, strength) in found:
            if weight is not None and picture is not None:
                result += (weight * np.float32(strength))[:, :, None] * (picture - decoded.before_unit)


def blend_back_strength(recipe: BaseRecipe, strength: float) -> float:
    """How much of a recipe's change is carried over: all where the recipe itself heeds the strength, but 0 is 0."""
    if accepts_strength(recipe):
        return 1.0 if strength > 0 else 0.0
    return strength


def bytes_per_pixel(job: Job) -> int:
    """Memory of a frame in flight, of a pixel."""
    regions, reach = job.settings.regions, job.settings.blend_frames
    total = BYTES_PER_PIXEL
    if reach:  # its neighbours and their answers, which frames share, and what a blend needs for a moment
        total += _WINDOW_BYTES * (2 * reach + 1)
    if not regions:
        return total
    pictures = sum(region.shows_picture for region in regions)
    return total + _MIXING_BYTES + _WEIGHT_BYTES * (len(regions) + 1) + _PICTURE_BYTES * pictures
