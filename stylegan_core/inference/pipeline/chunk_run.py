"""One chunk on its way through the stages: a state machine of four queues, advanced one step at a time.

    waiting -> decoding -> rendering -> encoding -> committing

All queues hold frames in the order of the chunk. Local names that refer to frames end with the method that uses them:
a name in the loop would keep the last frames in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any

from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.report import ChunkReport, ChunkTally
from stylegan_core.inference.network.backends.compile import MOST_TOGETHER_PX
from stylegan_core.inference.network.cpu_pool import cores
from stylegan_core.inference.pipeline.decode_stage import DECODE_THREADS, DecodeStage
from stylegan_core.inference.pipeline.encode_stage import ENCODE_THREADS, EncodeStage
from stylegan_core.inference.pipeline.frame_journal import FrameJournal
from stylegan_core.inference.pipeline.frame_outcomes import FrameOutcomes
from stylegan_core.inference.pipeline.memory_budget import MemoryBudget
from stylegan_core.inference.pipeline.render_stage import FrameOutputs, RenderStage
from stylegan_core.inference.reading.decoded_frame import DecodedFrame

_MOST_IN_FLIGHT = 24
"""Frames of one chunk in all queues."""


@dataclass(frozen=True)
class Stages:
    """What the chunks of a job share.

    Attributes:
        decode: reads frames.
        render: runs the network.
        encode: writes frames.
        memory: of the frames in flight.
        journal: commits frames.
        outcomes: counts frames; decides when the job has to stop.
    """

    decode: DecodeStage
    render: RenderStage
    encode: EncodeStage
    memory: MemoryBudget
    journal: FrameJournal
    outcomes: FrameOutcomes


class ChunkRun:
    """Runs the frames of one chunk through the stages; use it once, from one thread."""

    def __init__(self, tasks: Sequence[FrameTask], stages: Stages) -> None:
        """Starts nothing yet.

        Args:
            tasks: the frames of the chunk.
            stages: of the job.
        """
        self._tasks, self._stages, self._outcomes = tasks, stages, stages.outcomes
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
        full = len(self._rendering) == self._stages.render.batches_at_once
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
        while self._waiting and len(self._decoding) + rendering + len(self._encoding) < self._most_in_flight():
            self._decoding.append(self._stages.decode.submit(self._waiting.popleft(), self._tally))

    def _most_in_flight(self) -> int:
        """Frames that keep all threads busy; ``MemoryBudget`` decides how many of them may be decoded."""
        latest_px = self._stages.decode.latest_px
        together = max(cores(), MOST_TOGETHER_PX // latest_px) if latest_px else 1
        return min(_MOST_IN_FLIGHT, DECODE_THREADS + ENCODE_THREADS + max(DECODE_THREADS, 2 * together))

    def _start_rendering(self) -> None:
        """Waits for the next frame, then renders it together with those that are decoded and fit into its batch."""
        first = self._decoding.popleft().result()
        if first is None:
            return
        batch, most = [first], self._stages.render.batch_size(first)
        while len(batch) < most and self._decoding and self._decoding[0].done():
            following = self._decoding[0].result()
            if following is not None:
                if not first.fits_batch_of(following):
                    break
                batch.append(following)
            self._decoding.popleft()
        self._rendering.append((batch, self._stages.render.submit(batch, self._tally)))

    def _start_encoding(self) -> None:
        batch, rendered = self._rendering.popleft()
        for frame, outputs in zip(batch, rendered.result(), strict=True):
            if outputs is not None:
                self._encoding.append(self._stages.encode.submit(frame, outputs, self._tally))

    def _collect_encoded(self) -> None:
        while self._encoding and self._encoding[0].done():
            committed = self._encoding.popleft().result()
            if committed is not None:
                self._committing.append(committed)

    def _finish(self) -> None:
        """Waits for the frames in the stages, commits those that are written, and releases the memory of all."""
        wait(self._decoding)
        wait([rendered for _, rendered in self._rendering])
        wait(self._encoding)
        written = [encoded.result() for encoded in self._encoding if encoded.exception() is None]
        self._committing += [committed for committed in written if committed is not None]
        self._stages.journal.flush()
        wait(self._committing)
        for task in self._tasks:  # a stop leaves frames between two stages
            self._stages.memory.release(task.output)
