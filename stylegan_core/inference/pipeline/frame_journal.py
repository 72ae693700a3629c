"""The records of a job at work: which frames are done, and which become done, here or in another worker."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path

from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.output.group_commit import GroupCommitter
from stylegan_core.inference.output.skip_check import RecordIndex
from stylegan_core.inference.reading.decode import Decoded
from stylegan_core.storage.file_state import FileState
from stylegan_core.storage.frame_record import FrameRecord
from stylegan_core.storage.records import RecordTail, RecordWriter

logger = logging.getLogger(__name__)


class FrameJournal:
    """Several threads may share it; close it when no frame is at work."""

    def __init__(self, job: Job, *, checksum: bool = False, context: dict[str, str] | None = None) -> None:
        """Reads what is recorded.

        Args:
            job: whose frames they are.
            checksum: hash the files of finished frames again instead of trusting sizes and times.
            context: ids for the records.
        """
        self._job, self._checksum, self._context = job, checksum, context or {}
        self._settings_digest, self._job_digest = job.settings_digest(), job.digest[:16]
        self._reading = threading.Lock()
        self._tail = RecordTail(job.output_folder)
        self._done = RecordIndex(self._tail.new())
        self._records = RecordWriter(job.output_folder)
        self._committer = GroupCommitter(self._records)

    def read_new(self) -> None:
        """Reads the records that other workers have written since.

        Reading and indexing are one step: otherwise a second thread, whose chunk has just become free, finds nothing
        new while the first has not indexed the records yet, and makes the frames of that chunk again.
        """
        with self._reading:
            self._done.add(self._tail.new())

    def knows(self, frame: FrameTask) -> bool:
        """Whether the frame's file is one that we made, of these inputs or of others."""
        return self._done.record(frame.output) is not None

    def done(self, frame: FrameTask) -> bool:
        """Whether the frame is there, made of its present inputs by the job's model under the job's settings."""
        kept = self._done.check(
            frame.output,
            made=self._job.output_path(frame),
            source=self._job.input_path(frame),
            mask=Path(frame.mask) if frame.mask else None,
            model=self._job.model_digest,
            settings=self._settings_digest(frame),
            checksum=self._checksum,
            regions=self._job.auxiliary_files(frame),
        )
        if kept is None:
            return False
        if kept is not self._done.record(frame.output):
            try:  # its times have changed: spare the next run the hashing
                self._records.append(kept)
            except OSError as error:
                logger.debug("%s is not recorded with its new times: %s", frame.output, error)
        return True

    def add(
        self, decoded: Decoded, folders: Iterable[Path], finished: Callable[[Exception | None], None]
    ) -> Future[None]:
        """Records a frame whose file lies under its name, its bytes synced.

        Args:
            decoded: the frame.
            folders: in which names are new and not synced.
            finished: called when the frame survives a power cut, or with the reason why it is not recorded.

        Returns:
            Done after ``finished``, with what it raised.

        Raises:
            OSError: the file cannot be read back.
        """
        frame = decoded.frame
        record = FrameRecord(
            frame=frame.output,
            made=FileState.of(self._job.output_path(frame)),
            source=decoded.source,
            mask=decoded.mask,
            model=self._job.model_digest,
            settings=self._settings_digest(frame),
            job=self._job_digest,
            context=self._context,
            regions=decoded.beside,
        )
        return self._committer.commit(folders, record, finished)

    def flush(self) -> None:
        """Records what waits now."""
        self._committer.flush()

    def close(self) -> None:
        """Ends when all that was added is recorded."""
        self._committer.close()
        self._records.close()
