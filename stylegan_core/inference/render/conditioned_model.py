"""A model under fixed conditioning: references prepared once, one back end, whole pictures or tiles or bands."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from stylegan_core.inference.conditioning.conditions import accepts_strength, conditions_of
from stylegan_core.inference.job.frame_settings import BackEnd, Conditioning, Precision
from stylegan_core.inference.network.backends.compile import pictures_at_once, runner
from stylegan_core.inference.network.cpu_pool import map_one_core_each
from stylegan_core.inference.network.measure_norm_statistics import Rows
from stylegan_core.inference.network.tiling import MOST_WHOLE_PX, Tiling, Translate
from stylegan_core.inference.network.translate import Pixels, translate_batch_unit
from stylegan_core.inference.render.bands import Band, paint_in_bands
from stylegan_core.recipes.base import Conditions
from stylegan_core.recipes.model import Model

FrameOverrides = tuple[float | None, tuple[float, ...] | None]


class ConditionedModel:
    """A model under fixed directions, whose references are prepared once."""

    def __init__(
        self,
        model: Model,
        directions: Conditioning,
        strength: float,
        *,
        precision: Precision,
        device: str,
        back_end: BackEnd = "torch",
        approximate_tiles: bool = False,
    ) -> None:
        """Reads the references and prepares them.

        Args:
            model: from ``load_model``.
            directions: from ``plan_conditioning``.
            strength: for a recipe that heeds it.
            precision: of the convolutions.
            device: where to run.
            back_end: what runs the network.
            approximate_tiles: whether a network that depends on the whole picture is tiled, too.

        Raises:
            PlanError: a reference is not the one that was planned with.
        """
        self._recipe, self._precision, self._device = model.recipe, precision, device
        self._back_end: BackEnd = back_end
        self._runs: dict[FrameOverrides, Translate] = {}
        self._lock = threading.Lock()
        self._tiling = Tiling(approximate=approximate_tiles, fast=back_end == "torch")
        self._conditions: Conditions | None = None
        if device.startswith("cuda") and precision == "fp32":
            torch.backends.cudnn.allow_tf32 = False  # of 10 bits: tiles would not equal the whole; bf16 is for speed
        if accepts_strength(model.recipe) or directions != Conditioning():
            self._conditions = conditions_of(model, directions, strength=strength, device=device)

    def paint(self, batch_unit: Pixels, own: FrameOverrides = (None, None)) -> Pixels:
        """(N, H, W, 3) in the model's working space to the same.

        Args:
            batch_unit: the frames.
            own: strength and weights of the references that these frames have; None are the job's.
        """
        conditions, run = self._with(own), self._run(own)

        def translated(pictures: Pixels) -> Pixels:
            return translate_batch_unit(
                self._recipe,
                pictures,
                precision=self._precision,
                device=self._device,
                conditions=conditions,
                tiling=self._tiling,
                run=run,
            )

        count, height, width = batch_unit.shape[:3]
        if self._device == "cpu" and height * width <= MOST_WHOLE_PX:
            return np.concatenate(map_one_core_each(translated, np.split(batch_unit, count)))
        full = pictures_at_once(height, width, self._device)
        if len(batch_unit) < full:  # which frames are ready together is chance, and must not show in the last bits
            batch_unit = np.concatenate([batch_unit, np.repeat(batch_unit[-1:], full - count, axis=0)])
        return translated(batch_unit)[:count]

    def bands(self, rows: Rows, own: FrameOverrides = (None, None)) -> Iterator[Band]:
        """A large picture, band by band.

        Args:
            rows: of the picture.
            own: as in ``paint``.
        """
        recipe = self._recipe.to(self._device).to(memory_format=torch.channels_last).eval()
        conditions = self._with(own) or Conditions()
        return paint_in_bands(rows, recipe, conditions, self._tiling, precision=self._precision, run=self._run(own))

    def _run(self, own: FrameOverrides) -> Translate | None:
        """What runs the network; None is torch as it is, which costs nothing to set up."""
        if self._back_end == "torch":
            return None
        with self._lock:
            if own not in self._runs:
                recipe = self._recipe.to(self._device).to(memory_format=torch.channels_last).eval()
                self._runs[own] = runner(recipe, self._with(own) or Conditions(), self._back_end, self._precision)
            return self._runs[own]

    def _with(self, own: FrameOverrides) -> Conditions | None:
        conditions, (strength, weights) = self._conditions, own
        if conditions is not None and strength is not None and accepts_strength(self._recipe):
            conditions = replace(conditions, strength=strength)
        if conditions is not None and weights is not None:
            conditions = replace(conditions, style_weights=torch.tensor(weights, device=self._device))
        return conditions
