"""Frame journal: commits written frames, so that a record never exists without its file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path

from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.output.group_commit import GroupCommitter
from stylegan_core.inference.reading.decoded_frame import DecodedFrame
from stylegan_core.storage.file_state import FileState
from stylegan_core.storage.frame_record import FrameRecord
from stylegan_core.storage.records import RecordWriter


class FrameJournal:
    """Records the frames of a job. Thread-safe; close it after the last frame."""

    def __init__(self, job: Job, *, context: dict[str, str] | None = None) -> None:
        """Writes nothing yet.

        Args:
            job: whose frames are recorded.
            context: ids for the records (commit, flow run, MLflow run).
        """
        self._job, self._context = job, context or {}
        self._settings_digest, self._job_digest = job.settings_digest(), job.digest[:16]
        self.records = RecordWriter(job.output_folder)
        self._committer = GroupCommitter(self.records)

    def commit(
        self, frame: DecodedFrame, folders: Iterable[Path], finished: Callable[[Exception | None], None]
    ) -> Future[None]:
        """Records a frame whose file has its final name, its bytes synced.

        Args:
            frame: the frame.
            folders: folders with new names that are not synced yet.
            finished: called when the frame survives a power cut, or with the error that kept it from being recorded.

        Returns:
            Done after ``finished``; holds the exception that it raised, if any.

        Raises:
            OSError: the file cannot be read back.
        """
        task = frame.task
        record = FrameRecord(
            frame=task.output,
            made=FileState.of(self._job.output_path(task)),
            source=frame.source,
            mask=frame.mask,
            model=self._job.model_digest,
            settings=self._settings_digest(task),
            job=self._job_digest,
            context=self._context,
            regions=frame.auxiliary_files,
        )
        return self._committer.commit(folders, record, finished)

    def flush(self) -> None:
        """Commits the waiting frames now."""
        self._committer.flush()

    def close(self) -> None:
        """Returns when all frames are recorded."""
        self._committer.close()
        self.records.close()
