"""How frames of a job end: made, done before, failed with a reason; or the job must stop."""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.report import ChunkTally, Failure, Progress, in_words
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.output.frame_log import FrameLog
from stylegan_core.inference.pipeline.frame_journal import FrameJournal
from stylegan_core.storage.stop_errors import reading_stops, writing_stops

logger = logging.getLogger(__name__)


class FrameOutcomes:
    """Counts the frames of a job as they end, and says when it has to stop; any thread may tell it."""

    def __init__(
        self, job: Job, ledger: FrameJournal, progress: Callable[[Progress], None] | None, log: FrameLog
    ) -> None:
        """Begins to count.

        Args:
            job: at work.
            ledger: its records.
            progress: called after each frame, one call at a time.
            log: gets a line for each.
        """
        self._job, self._journal, self._progress, self._log = job, ledger, progress, log
        self._input_folder = _folder_identity(job.input_folder)
        self._lock = threading.Lock()
        self._counts = {"made": 0, "skipped": 0, "failed": 0}
        self._began_s = time.monotonic()
        self.stop_reason: str | None = None

    def stop(self, reason: str) -> None:
        """Says why the job has to stop; the first reason counts."""
        self.stop_reason = self.stop_reason or reason

    def skipped(self, frame: FrameTask, work: ChunkTally) -> None:
        """A frame was done before."""
        self._log.ended(frame, "skipped")
        with self._lock:
            work.skipped += 1
            self._count("skipped")

    def written(self, frame: FrameTask, warnings: list[Failure], error: Exception | None, work: ChunkTally) -> None:
        """A frame is there; it is made unless an error kept it from being recorded."""
        if error is not None:
            self.unwritten(frame, error, work, written=True)
            return
        self._log.ended(frame, "made")
        with self._lock:
            work.made.append(frame.output)
            work.warnings += warnings
            self._count("made")

    def unwritten(self, frame: FrameTask, error: Exception, work: ChunkTally, *, written: bool) -> None:
        """A frame could not be written or recorded: its own fault, or that of a disk that takes no other either."""
        if isinstance(error, OSError) and writing_stops(error):
            logger.debug("%s", error, exc_info=error)
            # ESTALE has a reason of ours; a writer's own words for a full disk say little.
            reason = error.strerror if error.errno == errno.ESTALE else os.strerror(error.errno or 0)
            self.stop(f"{self._job.output_folder} cannot be written: {reason}")
        else:
            self.failed(frame, error, work, written=written)

    def failed(self, frame: FrameTask, error: Exception, work: ChunkTally, *, written: bool = False) -> None:
        """A frame has no output; or its input's folder is gone, and the job has to stop."""
        source = self._job.input_path(frame)
        gone = isinstance(error, OSError) and _folder_identity(self._job.input_folder) != self._input_folder
        if gone or reading_stops(error):
            self.stop(f"{self._job.input_folder} was unmounted or removed" if gone else f"{source}: {error}")
            return
        reason = in_words(error)
        logger.debug("%s failed", source, exc_info=error)
        try:  # what an older input of this name gave would pass for this one's; a file that we did not make stays
            if written or self._journal.knows(frame):
                self._job.output_path(frame).unlink(missing_ok=True)
        except OSError as problem:
            self.stop(f"{self._job.output_folder} cannot be changed: {problem}")
        self._log.ended(frame, "failed", reason)
        with self._lock:
            work.failed.append(Failure(source, reason))
            self._count("failed")

    def _count(self, what: str) -> None:
        self._counts[what] += 1
        if self._progress is not None:
            elapsed = max(time.monotonic() - self._began_s, 1e-6)
            counts = self._counts
            rate = counts["made"] / elapsed
            self._progress(
                Progress(len(self._job.frames), sum(counts.values()), counts["skipped"], counts["failed"], rate)
            )


def _folder_identity(folder: Path) -> tuple[int, int] | None:
    """Device and inode: differ when a mount point shows in place of an unmounted folder; None if there is none."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
