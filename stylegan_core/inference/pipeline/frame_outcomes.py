"""Frame outcomes: each frame is made, up to date, or failed with a reason; some errors stop the job instead."""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.report import ChunkTally, Failure, Progress, failure_reason
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.output.frame_log import FrameLog
from stylegan_core.inference.output.skip_check import SkipCheck
from stylegan_core.storage.stop_errors import reading_stops, writing_stops

logger = logging.getLogger(__name__)


class StylizeStopped(Exception):  # noqa: N818  (a request or a full disk, not an error in the program)
    """The job stopped before its end; every finished frame is recorded, and a rerun makes the rest."""


class FrameOutcomes:
    """Counts the frames of a job and decides when it has to stop. Thread-safe."""

    def __init__(
        self, job: Job, skip_check: SkipCheck, log: FrameLog, progress: Callable[[Progress], None] | None
    ) -> None:
        """Starts to count.

        Args:
            job: whose frames are counted.
            skip_check: distinguishes files that stylereel made from others.
            log: gets a line for each frame.
            progress: called after each frame, one call at a time.
        """
        self._job, self._skip_check, self._log, self._progress = job, skip_check, log, progress
        self._input_folder = _folder_identity(job.input_folder)
        self._lock = threading.Lock()
        self._counts = {"made": 0, "skipped": 0, "failed": 0}
        self._began_s = time.monotonic()
        self.stop_reason: str | None = None

    def stop(self, reason: str) -> None:
        """Stops the job; the first reason counts."""
        self.stop_reason = self.stop_reason or reason

    def raise_if_stopped(self) -> None:
        """Raises ``StylizeStopped`` with the reason if the job has stopped."""
        if self.stop_reason is not None:
            raise StylizeStopped(self.stop_reason)

    def skipped(self, task: FrameTask, tally: ChunkTally) -> None:
        """A frame is up to date."""
        self._log.ended(task, "skipped")
        with self._lock:
            tally.skipped += 1
            self._count("skipped")

    def committed(self, task: FrameTask, warnings: list[Failure], tally: ChunkTally, error: Exception | None) -> None:
        """A frame is written; it is made unless an error kept it from being recorded."""
        if error is not None:
            self.not_written(task, error, tally, written=True)
            return
        self._log.ended(task, "made")
        with self._lock:
            tally.made.append(task.output)
            tally.warnings += warnings
            self._count("made")

    def not_written(self, task: FrameTask, error: Exception, tally: ChunkTally, *, written: bool) -> None:
        """A frame could not be written or recorded: it fails, or the job stops because no other could be written."""
        if isinstance(error, OSError) and writing_stops(error):
            logger.debug("%s", error, exc_info=error)
            # ESTALE has a reason of our own; a picture writer's message for a full disk is vague.
            reason = error.strerror if error.errno == errno.ESTALE else os.strerror(error.errno or 0)
            self.stop(f"{self._job.output_folder} cannot be written: {reason}")
        else:
            self.failed(task, error, tally, written=written)

    def failed(self, task: FrameTask, error: Exception, tally: ChunkTally, *, written: bool = False) -> None:
        """A frame fails; or the job stops, if the input folder is gone or no other frame could be read."""
        source = self._job.input_path(task)
        gone = isinstance(error, OSError) and _folder_identity(self._job.input_folder) != self._input_folder
        if gone or reading_stops(error):
            self.stop(f"{self._job.input_folder} was unmounted or removed" if gone else f"{source}: {error}")
            return
        reason = failure_reason(error)
        logger.debug("%s failed", source, exc_info=error)
        try:  # an output of an older input would pass for that of the present one; files that we did not make stay
            if written or self._skip_check.is_recorded(task):
                self._job.output_path(task).unlink(missing_ok=True)
        except OSError as problem:
            self.stop(f"{self._job.output_folder} cannot be changed: {problem}")
        self._log.ended(task, "failed", reason)
        with self._lock:
            tally.failed.append(Failure(source, reason))
            self._count("failed")

    def _count(self, outcome: str) -> None:
        self._counts[outcome] += 1
        if self._progress is not None:
            elapsed_s = max(time.monotonic() - self._began_s, 1e-6)
            counts = self._counts
            rate = counts["made"] / elapsed_s
            self._progress(
                Progress(len(self._job.frames), sum(counts.values()), counts["skipped"], counts["failed"], rate)
            )


def _folder_identity(folder: Path) -> tuple[int, int] | None:
    """Device and inode: they differ when a mount point shows in place of an unmounted folder; None without a folder."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
