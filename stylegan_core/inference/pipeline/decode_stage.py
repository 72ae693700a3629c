"""Decode stage: skips frames that are up to date, reads the others when there is memory for them."""

from __future__ import annotations

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


class DecodeStage:
    """Reads the frames of a job. Thread-safe."""

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
            skip_check: says which frames are up to date.
            outcomes: counts the frames that are skipped or fail.
            log: of decode times.
            memory: that a frame takes from here on.
        """
        self._decoder, self._bytes_per_pixel = FrameDecoder(job, reader), bytes_per_pixel(job)
        self._skip_check, self._outcomes, self._log, self._memory = skip_check, outcomes, log, memory
        self.latest_px = 0
        """Pixels of the frame decoded last, all views together."""

    def run(self, task: FrameTask, ticket: int, tally: ChunkTally) -> DecodedFrame | None:
        """Decodes a frame when its turn has come.

        Args:
            task: the frame.
            ticket: from ``MemoryBudget.ticket``.
            tally: of its chunk.

        Returns:
            None if there is nothing to render: the frame is up to date, or it failed, or the job has stopped.
        """
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
