"""The conditioned models of a job: each combination of model and conditioning once, with the statistics of a shot."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from stylegan_core.inference.conditioning.conditions import accepts_strength
from stylegan_core.inference.job.frame_settings import Conditioning, Precision, Region
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import Job, PlanError
from stylegan_core.inference.network.norm_statistics import StatisticsError, freeze, read_statistics
from stylegan_core.inference.render.conditioned_model import ConditionedModel
from stylegan_core.inference.render.region_mix import Share
from stylegan_core.recipes.base import BaseRecipe
from stylegan_core.recipes.model import Model, load_model

_MOST_FROZEN = 3
"""Shots that chunks work on at the same time; a network is copied for each."""


@dataclass(frozen=True)
class _Setup:
    """What a conditioned model is built of."""

    model: Model
    conditioning: Conditioning
    strength: float
    precision: Precision


class ModelBank:
    """Builds the conditioned models of a job, and copies them for shots with frozen statistics. Thread-safe."""

    def __init__(self, job: Job, model: Model) -> None:
        """Builds none yet.

        Args:
            job: whose models they are.
            model: the job's.
        """
        self._job, self._model = job, model
        self._loaded = {model.card.digest: model}
        self._setups: list[_Setup] = []
        self._models: list[ConditionedModel] = []
        self._indices: dict[tuple[object, ...], int] = {}
        self._frozen: OrderedDict[tuple[int, str], ConditionedModel] = OrderedDict()
        self._freezing = threading.Lock()

    def __len__(self) -> int:
        """How many there are, without the copies for shots."""
        return len(self._models)

    def add(self, model: Model, conditioning: Conditioning, strength: float, precision: Precision) -> int:
        """Builds a conditioned model, unless there is one of the same settings; returns its index.

        Raises:
            PlanError: a reference has changed since planning.
        """
        by_recipe = strength if accepts_strength(model.recipe) else None
        key = (model.card.digest, conditioning.model_dump_json(), by_recipe, precision)
        if key not in self._indices:
            self._indices[key] = len(self._models)
            self._setups.append(_Setup(model, conditioning, strength, precision))
            self._models.append(self._build(self._setups[-1]))
        return self._indices[key]

    def shares(self, regions: Sequence[Region]) -> list[Share]:
        """Loads the models of regions and builds what they need.

        Raises:
            PlanError: a reference or a region's model has changed since planning.
            ModelError: a model cannot be loaded.
        """
        return [self._share(region) for region in regions]

    def of_frame(self, index: int, task: FrameTask) -> ConditionedModel:
        """The conditioned model, with the frozen statistics of the frame's shot if they were measured for this model.

        Raises:
            PlanError: the statistics cannot be read.
        """
        path = self._job.statistics_path(task) if self._is_measured(self._setups[index]) else None
        if path is None:
            return self._models[index]
        key = (index, path.name)
        with self._freezing:
            if key not in self._frozen:
                setup = self._setups[index]
                try:
                    model = replace(setup.model, recipe=freeze(setup.model.recipe, read_statistics(path)))
                except StatisticsError as error:
                    raise PlanError(f"{error}: plan again") from error
                self._frozen[key] = self._build(replace(setup, model=model))
                while len(self._frozen) > _MOST_FROZEN:
                    self._frozen.popitem(last=False)
            self._frozen.move_to_end(key)
            return self._frozen[key]

    def _share(self, region: Region) -> Share:
        if region.shows_picture:
            return Share(None, region.strength)
        model = self._model
        if region.model_folder is not None and region.model_digest != model.card.digest:
            model = load_model(region.model_folder)
            if model.card.digest != region.model_digest:
                raise PlanError(f"{region.model_folder} was trained again since the job was planned: plan again")
            model = self._loaded.setdefault(model.card.digest, model)
        index = self.add(model, region.directions, region.strength, region.precision)
        return Share(index, blend_back_strength(model.recipe, region.strength))

    def _is_measured(self, setup: _Setup) -> bool:
        """Statistics are measured for the job's model under the job's conditioning."""
        is_jobs_model = setup.model.card.digest == self._job.model_digest
        return is_jobs_model and setup.conditioning == self._job.settings.directions

    def _build(self, setup: _Setup) -> ConditionedModel:
        return ConditionedModel(
            setup.model,
            setup.conditioning,
            self._job.settings.colour,
            setup.strength,
            precision=setup.precision,
            device=self._job.device,
            back_end=self._job.settings.back_end,
            approximate_tiles=self._job.settings.tiles == "approximate",
        )


def blend_back_strength(recipe: BaseRecipe, strength: float) -> float:
    """How much of a recipe's change is blended back: all if the recipe itself applies the strength, but none at 0."""
    if accepts_strength(recipe):
        return 1.0 if strength > 0 else 0.0
    return strength
