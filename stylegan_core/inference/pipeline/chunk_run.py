"""One chunk on its way through the pools: a state machine of four queues, advanced one step at a time.

    waiting -> decoding -> rendering -> encoding -> committing

All queues hold frames in the order of the chunk. Local names that refer to frames end with the method that uses them:
a name in the loop would keep the last frames in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.report import ChunkReport, ChunkTally
from stylegan_core.inference.pipeline.frame_journal import FrameJournal
from stylegan_core.inference.pipeline.frame_outcomes import FrameOutcomes
from stylegan_core.inference.pipeline.render_stage import FrameOutputs
from stylegan_core.inference.pipeline.stage_pools import StagePools
from stylegan_core.inference.reading.decoded_frame import DecodedFrame


class ChunkRun:
    """Runs the frames of one chunk through the pools; use it once, from one thread."""

    def __init__(
        self, tasks: Sequence[FrameTask], pools: StagePools, journal: FrameJournal, outcomes: FrameOutcomes
    ) -> None:
        """Starts nothing yet.

        Args:
            tasks: the frames of the chunk.
            pools: that run the stages.
            journal: that commits the frames.
            outcomes: of the job; says when it has to stop.
        """
        self._tasks, self._pools, self._journal, self._outcomes = tasks, pools, journal, outcomes
        self._tally = ChunkTally()
        self._waiting = deque(tasks)
        self._decoding: deque[Future[DecodedFrame | None]] = deque()
        self._rendering: deque[tuple[list[DecodedFrame], Future[list[FrameOutputs | None]]]] = deque()
        self._encoding: deque[Future[Future[None] | None]] = deque()
        self._committing: list[Future[None]] = []

    def run(self) -> ChunkReport:
        """Makes the frames that are not up to date.

        Raises:
            StylizeStopped: the job was stopped, or an error stopped it.
        """
        try:
            while (self._waiting or self._decoding or self._rendering) and self._outcomes.stop_reason is None:
                self._step()
        finally:
            self._finish()
        for encoded in self._encoding:
            encoded.result()
        for committed in self._committing:
            committed.result()
        self._outcomes.raise_if_stopped()
        return self._tally.report()

    def _step(self) -> None:
        """Fills the decode pool, then moves one batch on; waits if no batch can move."""
        self._collect_encoded()
        self._start_decoding()
        full = len(self._rendering) == self._pools.batches_at_once
        if self._rendering and self._decoding and not full:  # a decode may wait for the memory of a rendered frame
            either: list[Future[Any]] = [self._rendering[0][1], self._decoding[0]]
            wait(either, return_when=FIRST_COMPLETED)
        if self._rendering and (full or not self._decoding or self._rendering[0][1].done()):
            self._start_encoding()
        elif self._decoding:
            self._start_rendering()
        else:  # all frames that may be in flight are being encoded
            wait([self._encoding[0]])

    def _start_decoding(self) -> None:
        rendering = sum(len(batch) for batch, _ in self._rendering)
        while (
            self._waiting
            and len(self._decoding) + rendering + len(self._encoding) < self._pools.most_frames_in_flight()
        ):
            self._decoding.append(self._pools.decode(self._waiting.popleft(), self._tally))

    def _start_rendering(self) -> None:
        """Waits for the next frame, then renders it together with those that are decoded and fit into its batch."""
        first = self._decoding.popleft().result()
        if first is None:
            return
        batch, most = [first], self._pools.batch_size(first)
        while len(batch) < most and self._decoding and self._decoding[0].done():
            following = self._decoding[0].result()
            if following is not None:
                if not first.fits_batch_of(following):
                    break
                batch.append(following)
            self._decoding.popleft()
        self._rendering.append((batch, self._pools.render(batch, self._tally)))

    def _start_encoding(self) -> None:
        batch, rendered = self._rendering.popleft()
        for frame, outputs in zip(batch, rendered.result(), strict=True):
            if outputs is not None:
                self._encoding.append(self._pools.encode(frame, outputs, self._tally))

    def _collect_encoded(self) -> None:
        while self._encoding and self._encoding[0].done():
            committed = self._encoding.popleft().result()
            if committed is not None:
                self._committing.append(committed)

    def _finish(self) -> None:
        """Waits for the frames in the pools, commits those that are written, and releases the memory of all."""
        wait(self._decoding)
        wait([rendered for _, rendered in self._rendering])
        wait(self._encoding)
        written = [encoded.result() for encoded in self._encoding if encoded.exception() is None]
        self._committing += [committed for committed in written if committed is not None]
        self._journal.flush()
        wait(self._committing)
        for task in self._tasks:  # a stop leaves frames between two stages
            self._pools.memory.release(task.output)
