"""Render stage: the network's outputs for a batch of decoded frames."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.inference.job.report import ChunkTally
from stylegan_core.inference.output.frame_log import FrameLog
from stylegan_core.inference.pipeline.frame_outcomes import FrameOutcomes
from stylegan_core.inference.pipeline.memory_budget import MemoryBudget
from stylegan_core.inference.reading.decoded_frame import DecodedFrame
from stylegan_core.inference.render.renderer import FrameRenderer, NetworkOutput

FrameOutputs = list[NetworkOutput]
"""The network's outputs for the views of one frame."""


class RenderStage:
    """Renders batches of frames in a pool that the chunks of a job share. Thread-safe."""

    def __init__(self, renderer: FrameRenderer, outcomes: FrameOutcomes, log: FrameLog, memory: MemoryBudget) -> None:
        """Renders nothing yet.

        Args:
            renderer: of the job.
            outcomes: counts the frames that fail.
            log: of render times.
            memory: released by the frames that fail.
        """
        self._renderer, self._outcomes, self._log, self._memory = renderer, outcomes, log, memory
        self.batches_at_once = renderer.batches_at_once
        self._pool = ThreadPoolExecutor(self.batches_at_once, thread_name_prefix="render")

    def batch_size(self, frame: DecodedFrame) -> int:
        """How many frames of this size are rendered together."""
        return self._renderer.batch_size(frame.height_px, frame.width_px)

    def submit(self, batch: list[DecodedFrame], tally: ChunkTally) -> Future[list[FrameOutputs | None]]:
        """Queues frames of one size and shot; all their views are rendered.

        Args:
            batch: at most ``batch_size`` frames.
            tally: of their chunk.

        Returns:
            Outputs for each frame; None for a frame that failed, and for all if the job has stopped.
        """
        return self._pool.submit(self._run, batch, tally)

    def close(self) -> None:
        """Ends the threads after the batches that they are rendering."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, batch: list[DecodedFrame], tally: ChunkTally) -> list[FrameOutputs | None]:
        if self._outcomes.stop_reason is not None:
            return [None] * len(batch)
        try:
            with self._log.timed("forward", [frame.task for frame in batch]):
                outputs: list[FrameOutputs] = [[output] for output in self._renderer.render(batch)]
                for frame, views in zip(batch, outputs, strict=True):
                    views += [output for view in frame.other_views for output in self._renderer.render([view])]
        except Exception as error:
            if len(batch) > 1:  # a frame must not fail because of the others
                return [self._run([frame], tally)[0] for frame in batch]
            self._fail(batch[0], error, tally)
            return [None]
        results: list[FrameOutputs | None] = []
        for frame, views in zip(batch, outputs, strict=True):
            finite = all(isinstance(output, Picture) or np.isfinite(output).all() for output in views)
            if not finite:
                self._fail(frame, ValueError("the output of the network is not finite"), tally)
            results.append(views if finite else None)
        return results

    def _fail(self, frame: DecodedFrame, error: Exception, tally: ChunkTally) -> None:
        self._memory.release(frame.task.output)
        self._outcomes.failed(frame.task, error, tally)
