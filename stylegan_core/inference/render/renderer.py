"""Frame renderer: the network's outputs for frames, whole, by regions, or in bands."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.inference.conditioning.conditions import accepts_strength
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.network.backends.compile import pictures_at_once
from stylegan_core.inference.network.translate import Pixels
from stylegan_core.inference.reading.decoded_frame import DecodedFrame
from stylegan_core.inference.reading.picture_rows import picture_rows
from stylegan_core.inference.render.bands import unchanged_bands
from stylegan_core.inference.render.conditioned_model import FrameOverrides
from stylegan_core.inference.render.guided_input import FilteredRows, GuidedRows, network_input
from stylegan_core.inference.render.large_frames import encode_in_bands
from stylegan_core.inference.render.model_bank import ModelBank, blend_back_strength
from stylegan_core.inference.render.region_mix import RegionMix, Share
from stylegan_core.inference.render.temporal_smoother import TemporalSmoother
from stylegan_core.recipes.model import Model

NetworkOutput = Pixels | Picture
"""(H, W, 3) float32 in the working space, not clipped; the finished picture of a frame that is rendered in bands."""


class FrameRenderer:
    """Renders the frames of a job; as many threads as ``batches_at_once`` may use it."""

    def __init__(self, job: Job, model: Model) -> None:
        """Loads the models of the regions and prepares all references.

        Args:
            job: from ``plan_job`` or ``read_job``.
            model: the job's.

        Raises:
            PlanError: a reference or a region's model has changed since planning.
            ModelError: a region's model cannot be loaded.
        """
        settings = job.settings
        self._job, self._recipe = job, model.recipe
        self._bank = ModelBank(job, model)
        self._smoother = TemporalSmoother(settings) if settings.blend_frames else None
        self._large = threading.Lock()
        outside: Share | None = None
        if not settings.regions or settings.outside_regions == "style":
            index = self._bank.add(model, settings.directions, settings.strength, settings.precision)
            outside = Share(index, blend_back_strength(model.recipe, settings.strength))
        self._outside = outside
        self._mix = RegionMix(self._bank.shares(settings.regions), outside) if settings.regions else None

    @property
    def batches_at_once(self) -> int:
        """On a CPU 2: while the last picture of a batch is rendered, the other cores begin with the next batch."""
        return 2 if self._job.device == "cpu" and self._mix is None and self._smoother is None else 1

    def batch_size(self, height_px: int, width_px: int) -> int:
        """How many frames of a size are rendered together."""
        return pictures_at_once(height_px, width_px, self._job.device)

    def blend_strength(self, task: FrameTask) -> float:
        """How much of the output's change is blended back into a frame's source; with regions, a factor on them all."""
        if task.missing == "black":
            return 0.0
        if self._mix is not None or self._outside is None:
            return 1.0 if task.strength is None else task.strength
        if task.strength is None:
            return self._outside.strength
        return blend_back_strength(self._recipe, task.strength)

    def render(self, batch: Sequence[DecodedFrame]) -> Sequence[NetworkOutput]:
        """The outputs for frames of one size and shot."""
        if batch[0].in_bands:
            with self._large:  # a single one fills the memory that it may use
                return [self._render_in_bands(frame) for frame in batch]
        if self._mix is not None:
            return self._render_regions(batch, self._mix)
        return self._render_whole(batch)

    def _render_in_bands(self, frame: DecodedFrame) -> Picture:
        assert self._outside is not None
        assert self._outside.model is not None
        settings, strength = self._job.settings, self.blend_strength(frame.task)
        rows = picture_rows(frame.picture, frame.space, settings)
        if strength > 0:
            model = self._bank.of_frame(self._outside.model, frame.task)
            seen = FilteredRows(frame.filtered, frame.height_px, frame.width_px) if frame.filtered is not None else rows
            given = GuidedRows(seen, frame.guide) if model.guided else seen
            bands = model.run_in_bands(given, self._overrides(frame.task))
            if seen is not rows:  # the change is carried over to the frame, not to its mean
                bands = (replace(band, before_unit=rows.unit(band.begin, band.end)) for band in bands)
        else:
            bands = unchanged_bands(rows)
        return encode_in_bands(frame, bands, settings, strength=strength)

    def _render_regions(self, batch: Sequence[DecodedFrame], mix: RegionMix) -> Sequence[Pixels]:
        results = [mix.with_backdrops(frame) for frame in batch]
        for index in range(len(self._bank)):
            amounts = [mix.amount(frame, index) for frame in batch]
            touched = [(at, amount) for at, amount in enumerate(amounts) if amount is not None]
            if not touched:
                continue
            outputs = self._outputs(index, [batch[at] for at, _ in touched], FrameOverrides())
            for (at, amount), output in zip(touched, outputs, strict=True):
                results[at] += _weighted_change(output, batch[at].before_unit, amount)
        return results

    def _render_whole(self, batch: Sequence[DecodedFrame]) -> Sequence[Pixels]:
        assert self._outside is not None
        assert self._outside.model is not None
        alike: dict[FrameOverrides, list[int]] = {}
        for at, frame in enumerate(batch):
            if self.blend_strength(frame.task) > 0:
                alike.setdefault(self._overrides(frame.task), []).append(at)
        results = [frame.before_unit for frame in batch]
        for overrides, members in alike.items():
            outputs = self._outputs(self._outside.model, [batch[at] for at in members], overrides)
            for at, output in zip(members, outputs, strict=True):
                results[at] = output
        return results

    def _outputs(self, index: int, batch: Sequence[DecodedFrame], overrides: FrameOverrides) -> Sequence[Pixels]:
        """New arrays: the outputs of one model, smoothed along the windows of the frames that have one."""
        model = self._bank.of_frame(index, batch[0].task)
        smoother = self._smoother
        if smoother is None:
            return list(model.run(np.stack([network_input(frame, guided=model.guided) for frame in batch]), overrides))

        def run_alone(view: DecodedFrame) -> Pixels:
            output: Pixels = model.run(network_input(view, guided=model.guided)[None], overrides)[0]
            return output

        return [
            smoother.smooth(frame, run_alone, (index, overrides, frame.task.statistics)).copy()
            if frame.window
            else run_alone(frame)
            for frame in batch
        ]

    def _overrides(self, task: FrameTask) -> FrameOverrides:
        return FrameOverrides(task.strength if accepts_strength(self._recipe) else None, task.style_weights)


def _weighted_change(output: Pixels, before_unit: Pixels, amount: Pixels) -> Pixels:
    """The change of an output, times its (H, W) amount; in the memory of ``output``."""
    output -= before_unit
    output *= amount[:, :, None]
    return output
