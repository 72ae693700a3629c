"""Conditioned model: a model with its references, run by one back end on whole pictures, in tiles or in bands."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from stylegan_core.frames.colour.context import ColourContext
from stylegan_core.inference.conditioning.conditions import accepts_strength, conditions_of
from stylegan_core.inference.job.frame_settings import BackEnd, Conditioning, Precision
from stylegan_core.inference.network.backends.compile import pictures_at_once, runner
from stylegan_core.inference.network.cpu_pool import map_one_core_each
from stylegan_core.inference.network.measure_norm_statistics import Rows
from stylegan_core.inference.network.tiling import MOST_WHOLE_PX, Tiling, Translate
from stylegan_core.inference.network.translate import Pixels, translate_batch_unit
from stylegan_core.inference.render.bands import Band, translate_in_bands
from stylegan_core.recipes.base import Conditions
from stylegan_core.recipes.model import Model


@dataclass(frozen=True)
class FrameOverrides:
    """Conditions of single frames.

    Attributes:
        strength: None is the job's.
        style_weights: of the references, in the order of the job's; None are the job's.
    """

    strength: float | None = None
    style_weights: tuple[float, ...] | None = None


class ConditionedModel:
    """A model under fixed conditioning, whose references are prepared once. Thread-safe."""

    def __init__(
        self,
        model: Model,
        conditioning: Conditioning,
        colour: ColourContext,
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
            conditioning: from ``plan_conditioning``.
            colour: the job's.
            strength: for a recipe that accepts it.
            precision: of the convolutions.
            device: that runs it.
            back_end: what runs the network.
            approximate_tiles: whether a network that depends on the whole picture is tiled nevertheless.

        Raises:
            PlanError: a reference has changed since planning.
        """
        self._recipe, self._precision, self._device = model.recipe, precision, device
        self._back_end: BackEnd = back_end
        self._runs: dict[FrameOverrides, Translate] = {}
        self._lock = threading.Lock()
        self._tiling = Tiling(approximate=approximate_tiles, fast=back_end == "torch")
        self._conditions: Conditions | None = None
        if device.startswith("cuda") and precision == "fp32":
            torch.backends.cudnn.allow_tf32 = False  # 10 bits: tiles would not equal the whole; bf16 is for speed
        if accepts_strength(model.recipe) or conditioning != Conditioning():
            self._conditions = conditions_of(model, conditioning, colour, strength=strength, device=device)

    @property
    def guided(self) -> bool:
        """Whether the network takes guides beside the frames."""
        return self._recipe.guided

    def run(self, batch_unit: Pixels, overrides: FrameOverrides) -> Pixels:
        """(N, H, W, C) in the model's working space to (N, H, W, 3).

        Args:
            batch_unit: the frames, with their guides if it is guided (see ``network_input``).
            overrides: conditions of these frames.
        """
        conditions, run = self._conditions_with(overrides), self._backend_run(overrides)

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
        if len(batch_unit) < full:  # which frames are ready together is chance and must not change the last bits
            batch_unit = np.concatenate([batch_unit, np.repeat(batch_unit[-1:], full - count, axis=0)])
        return translated(batch_unit)[:count]

    def run_in_bands(self, rows: Rows, overrides: FrameOverrides) -> Iterator[Band]:
        """A large picture, band by band.

        Args:
            rows: of the picture.
            overrides: conditions of this frame.
        """
        recipe = self._recipe.to(self._device).to(memory_format=torch.channels_last).eval()
        conditions, run = self._conditions_with(overrides) or Conditions(), self._backend_run(overrides)
        return translate_in_bands(rows, recipe, conditions, self._tiling, precision=self._precision, run=run)

    def _backend_run(self, overrides: FrameOverrides) -> Translate | None:
        """What runs the network; None is plain torch, which needs no preparation."""
        if self._back_end == "torch":
            return None
        with self._lock:
            if overrides not in self._runs:
                recipe = self._recipe.to(self._device).to(memory_format=torch.channels_last).eval()
                conditions = self._conditions_with(overrides) or Conditions()
                self._runs[overrides] = runner(recipe, conditions, self._back_end, self._precision)
            return self._runs[overrides]

    def _conditions_with(self, overrides: FrameOverrides) -> Conditions | None:
        conditions, strength, weights = self._conditions, overrides.strength, overrides.style_weights
        if conditions is not None and strength is not None and accepts_strength(self._recipe):
            conditions = replace(conditions, strength=strength)
        if conditions is not None and weights is not None:
            conditions = replace(conditions, style_weights=torch.tensor(weights, device=self._device))
        return conditions
