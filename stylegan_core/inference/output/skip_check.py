"""Up-to-date check: a frame whose input, model and settings match its record is not made again.

Files are compared with the record by size and modification time; where these differ, or on request, by SHA-256. A frame
without a record is always made: a file that was renamed just before a kill is made once more.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import Job
from stylegan_core.storage.file_state import FileState
from stylegan_core.storage.frame_record import FrameRecord
from stylegan_core.storage.records import RecordTail, RecordWriter, newest_by_frame

logger = logging.getLogger(__name__)


class RecordIndex:
    """The newest record of each frame of an output folder."""

    def __init__(self, records: Iterable[FrameRecord]) -> None:
        """Takes the records of all writers, oldest first, as ``read_records`` returns them."""
        self._newest: dict[str, FrameRecord] = {}
        self.add(records)

    def add(self, records: Iterable[FrameRecord]) -> None:
        """Adds newer records."""
        self._newest |= newest_by_frame(records)

    def record(self, output: str) -> FrameRecord | None:
        """The newest record of a frame, whether or not it still matches the files."""
        return self._newest.get(output)

    def check(
        self,
        output: str,
        *,
        made: Path,
        source: Path,
        mask: Path | None,
        model: str,
        settings: str,
        checksum: bool = False,
        regions: Sequence[Path | None] = (),
    ) -> FrameRecord | None:
        """The record of a frame that is up to date, with the present modification times of its files.

        Args:
            output: name of the frame, relative to the output folder.
            made: path of the output.
            source: path of the input.
            mask: path of the mask, or None.
            model: digest of the model.
            settings: digest of the per-frame settings.
            checksum: whether to hash files whose size and time match the record.
            regions: paths of the frame's auxiliary files.

        Returns:
            None if the frame must be made. If the result is not the recorded object itself, times have changed: write
            it, so that the next run need not hash the files again.
        """
        record = self._newest.get(output)
        if record is None or record.model != model or record.settings != settings:
            return None
        recorded = (record.made, record.source, record.mask, *record.regions)
        paths = (made, source, mask, *regions)
        if [state is None for state in recorded] != [path is None for path in paths]:
            return None
        present: list[FileState | None] = []
        for state, path in zip(recorded, paths, strict=True):
            now = state.unchanged(path, checksum=checksum) if state is not None and path is not None else None
            if now is None and path is not None:
                return None
            present.append(now)
        if tuple(present) == recorded:
            return record
        made_now, source_now, mask_now, *regions_now = present
        assert made_now is not None
        assert source_now is not None
        return replace(record, made=made_now, source=source_now, mask=mask_now, regions=tuple(regions_now))


class SkipCheck:
    """Up-to-date check of the frames of a job. Thread-safe."""

    def __init__(self, job: Job, *, checksum: bool = False, records: RecordWriter | None = None) -> None:
        """Reads the records of all writers.

        Args:
            job: whose frames are checked.
            checksum: whether to hash files whose size and time match the record.
            records: gets the records of frames whose files have new times; None writes nothing.
        """
        self._job, self._checksum, self._records = job, checksum, records
        self._settings_digest = job.settings_digest()
        self._reading = threading.Lock()
        self._tail = RecordTail(job.output_folder)
        self._index = RecordIndex(self._tail.new())

    def read_new(self) -> None:
        """Reads the records that other workers have written since.

        Reading and indexing are one step: otherwise a second thread, whose chunk has just become free, finds nothing
        new while the first has not indexed the records yet, and makes the frames of that chunk again.
        """
        with self._reading:
            self._index.add(self._tail.new())

    def is_recorded(self, task: FrameTask) -> bool:
        """Whether stylereel made the output of a frame, whatever its inputs were."""
        return self._index.record(task.output) is not None

    def is_up_to_date(self, task: FrameTask) -> bool:
        """Whether the output of a frame is there, made of its present inputs by the job's model and settings."""
        present = self._index.check(
            task.output,
            made=self._job.output_path(task),
            source=self._job.input_path(task),
            mask=Path(task.mask) if task.mask else None,
            model=self._job.model_digest,
            settings=self._settings_digest(task),
            checksum=self._checksum,
            regions=self._job.auxiliary_files(task),
        )
        if present is None:
            return False
        if self._records is not None and present is not self._index.record(task.output):
            try:  # the next run need not hash the files again
                self._records.append(present)
            except OSError as error:
                logger.debug("cannot record the new file times of %s: %s", task.output, error)
        return True


def frames_to_make(job: Job, *, checksum: bool = False) -> list[str]:
    """Outputs of a job that are not up to date; writes nothing.

    Args:
        job: from ``plan_job``.
        checksum: whether to hash files whose size and time match the record.
    """
    check = SkipCheck(job, checksum=checksum)
    return [task.output for task in job.frames if not check.is_up_to_date(task)]
