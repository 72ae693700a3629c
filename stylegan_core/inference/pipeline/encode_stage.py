"""Encode stage: blends the network's output back into the source, writes the file and hands it to the commit thread."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from stylegan_core.inference.job.report import ChunkTally, Failure
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.output.frame_log import FrameLog
from stylegan_core.inference.output.lock import TEMPORARY_FOLDER
from stylegan_core.inference.output.provenance import Provenance
from stylegan_core.inference.pipeline.frame_journal import FrameJournal
from stylegan_core.inference.pipeline.frame_outcomes import FrameOutcomes
from stylegan_core.inference.pipeline.memory_budget import MemoryBudget
from stylegan_core.inference.pipeline.render_stage import FrameOutputs
from stylegan_core.inference.reading.decoded_frame import DecodedFrame
from stylegan_core.inference.render.encode import encode_frame
from stylegan_core.inference.render.renderer import FrameRenderer
from stylegan_core.storage.atomic import defer_folder_syncs
from stylegan_core.storage.stop_errors import lost_folder

ENCODE_THREADS = 2


class EncodeStage:
    """Writes the frames of a job in a pool that its chunks share. Thread-safe."""

    def __init__(
        self,
        job: Job,
        renderer: FrameRenderer,
        provenance: Provenance,
        journal: FrameJournal,
        outcomes: FrameOutcomes,
        log: FrameLog,
        memory: MemoryBudget,
    ) -> None:
        """Writes nothing yet.

        Args:
            job: whose frames are written.
            renderer: returns the strength of each frame.
            provenance: writes the files.
            journal: records the frames.
            outcomes: counts the frames that are made or fail.
            log: of encode times.
            memory: that a frame releases here.
        """
        self._job, self._renderer, self._provenance = job, renderer, provenance
        self._journal, self._outcomes, self._log, self._memory = journal, outcomes, log, memory
        self._temporaries = job.state_folder / TEMPORARY_FOLDER
        self._pool = ThreadPoolExecutor(ENCODE_THREADS, thread_name_prefix="encode")

    def submit(self, frame: DecodedFrame, outputs: FrameOutputs, tally: ChunkTally) -> Future[Future[None] | None]:
        """Queues a frame to be written.

        Args:
            frame: the frame.
            outputs: of the network, for its views.
            tally: of its chunk.

        Returns:
            When the frame is written, a future that is done when the frame is recorded; None if it failed or the job
            has stopped.
        """
        return self._pool.submit(self._run, frame, outputs, tally)

    def close(self) -> None:
        """Ends the threads after the frames that they are writing."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, frame: DecodedFrame, outputs: FrameOutputs, tally: ChunkTally) -> Future[None] | None:
        if self._outcomes.stop_reason is not None:
            return None
        task, written = frame.task, False
        warnings = [Failure(self._job.input_path(task), text) for text in frame.picture.warnings]
        try:
            if not self._temporaries.is_dir():  # otherwise frames would be written below the mount point
                raise lost_folder(self._job.output_folder)
            with defer_folder_syncs() as folders, self._log.timed("encode", [task]):
                encode_frame(
                    frame,
                    outputs,
                    self._job.output_path(task),
                    self._job.settings,
                    strength=self._renderer.blend_strength(task),
                    write=self._provenance.write,
                )
            written = True
            return self._journal.commit(frame, folders, partial(self._outcomes.committed, task, warnings, tally))
        except Exception as error:
            self._outcomes.not_written(task, error, tally, written=written)
            return None
        finally:
            self._memory.release(task.output)
