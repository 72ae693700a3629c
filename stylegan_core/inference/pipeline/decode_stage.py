"""Decode stage: skips frames that are up to date, reads the others when there is memory for them."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.report import ChunkTally
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.output.frame_log import FrameLog
from stylegan_core.inference.output.skip_check import SkipCheck
from stylegan_core.inference.pipeline.frame_outcomes import FrameOutcomes
from stylegan_core.inference.pipeline.memory_budget import MemoryBudget, bytes_per_pixel
from stylegan_core.inference.reading.decode import FrameDecoder
from stylegan_core.inference.reading.decoded_frame import DecodedFrame
from stylegan_core.inference.reading.frame_reader import FrameReader

DECODE_THREADS = 2


class DecodeStage:
    """Reads the frames of a job in a pool that its chunks share. Thread-safe."""

    def __init__(
        self,
        job: Job,
        reader: FrameReader,
        skip_check: SkipCheck,
        outcomes: FrameOutcomes,
        log: FrameLog,
        memory: MemoryBudget,
    ) -> None:
        """Reads nothing yet.

        Args:
            job: whose frames are read.
            reader: of its inputs.
            skip_check: finds the frames that are up to date.
            outcomes: counts the frames that are skipped or fail.
            log: of decode times.
            memory: that a frame takes from here on.
        """
        self._decoder, self._bytes_per_pixel = FrameDecoder(job, reader), bytes_per_pixel(job)
        self._skip_check, self._outcomes, self._log, self._memory = skip_check, outcomes, log, memory
        self.latest_px = 0
        """Pixels of the frame decoded last, all views together."""
        self._pool = ThreadPoolExecutor(DECODE_THREADS, thread_name_prefix="decode")
        self._queueing = threading.Lock()

    def submit(self, task: FrameTask, tally: ChunkTally) -> Future[DecodedFrame | None]:
        """Queues a frame; its turn comes in the order of the calls.

        Args:
            task: the frame.
            tally: of its chunk.

        Returns:
            None if there is nothing to render: the frame is up to date, or it failed, or the job has stopped.
        """
        with self._queueing:  # tickets must have the order of the pool's queue
            return self._pool.submit(self._run, task, self._memory.ticket(), tally)

    def close(self) -> None:
        """Ends the threads after the frames that they are reading."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, task: FrameTask, ticket: int, tally: ChunkTally) -> DecodedFrame | None:
        self._memory.acquire(ticket, stopped=lambda: self._outcomes.stop_reason is not None)
        frame = self._decoded(task, tally) if self._outcomes.stop_reason is None else None
        if frame is None:
            self._memory.cancel()
            return None
        self.latest_px = frame.height_px * frame.width_px * (1 + len(frame.other_views))
        self._memory.hold(task.output, self.latest_px * self._bytes_per_pixel)
        return frame

    def _decoded(self, task: FrameTask, tally: ChunkTally) -> DecodedFrame | None:
        try:
            if self._skip_check.is_up_to_date(task):
                self._outcomes.skipped(task, tally)
                return None
            with self._log.timed("decode", [task]):
                return self._decoder.decode(task)
        except Exception as error:
            self._outcomes.failed(task, error, tally)
            return None
