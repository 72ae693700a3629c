"""Group commit: one fsync of the folders and one of the records for all frames that are waiting.

The file of such a frame is synced and has its final name; the remaining steps are to fsync its folder, then to append
its record. Hundreds of small frames a second are common: those of the same ``GROUP_S`` share their syncs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from stylegan_core.storage.atomic import fsync_folder
from stylegan_core.storage.frame_record import FrameRecord
from stylegan_core.storage.records import RecordWriter

GROUP_S = 0.02
"""Between groups, unless a flush is requested: syncs then take a few percent of the time, however slow the disk."""


@dataclass(frozen=True)
class _Entry:
    folders: frozenset[Path]
    record: FrameRecord
    finished: Callable[[Exception | None], None]
    done: Future[None] = field(default_factory=Future)

    def settle(self, error: Exception | None) -> None:
        try:
            self.finished(error)
        except BaseException as failure:  # like a task of any pool
            self.done.set_exception(failure)
        else:
            self.done.set_result(None)


class GroupCommitter:
    """Records frames in its own thread. Thread-safe; close it before the record writer."""

    def __init__(self, records: RecordWriter) -> None:
        """Starts no thread before the first frame.

        Args:
            records: of the output folder.
        """
        self._records = records
        self._lock = threading.Lock()
        self._waiting: list[_Entry] = []
        self._flush = threading.Event()
        self._last_s = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")

    def commit(
        self, folders: Iterable[Path], record: FrameRecord, finished: Callable[[Exception | None], None]
    ) -> Future[None]:
        """Queues the record of a frame whose file has its final name, its bytes synced.

        Args:
            folders: folders with new names that are not synced yet.
            record: of the frame.
            finished: called when the frame survives a power cut, or with the error that kept it from being recorded.

        Returns:
            Done after ``finished``; holds the exception that it raised, if any.
        """
        entry = _Entry(frozenset(folders), record, finished)
        with self._lock:
            self._waiting.append(entry)
        self._thread.submit(self._commit_waiting)
        return entry.done

    def flush(self) -> None:
        """Commits the waiting frames now instead of at the end of ``GROUP_S``."""
        self._flush.set()

    def close(self) -> None:
        """Returns when all frames are recorded."""
        self.flush()
        self._thread.shutdown(wait=True)

    def _commit_waiting(self) -> None:
        with self._lock:
            if not self._waiting:  # the previous group contained it
                return
        self._flush.wait(self._last_s + GROUP_S - time.monotonic())
        with self._lock:
            self._flush.clear()
            group, self._waiting = self._waiting, []
        try:
            self._commit(group)
            self._last_s = time.monotonic()
        except Exception:  # a frame must not fail because of the others
            for entry in group:
                try:
                    self._commit([entry])
                except Exception as error:
                    entry.settle(error)
                else:
                    entry.settle(None)
            return
        for entry in group:
            entry.settle(None)

    def _commit(self, group: list[_Entry]) -> None:
        for folder in frozenset[Path]().union(*(entry.folders for entry in group)):
            fsync_folder(folder)
        self._records.append(*(entry.record for entry in group))
