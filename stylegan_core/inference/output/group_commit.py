"""Makes finished frames last, in groups: one fsync of a folder and one of the records for all frames that wait.

A frame's file is synced and has its name by then; what is left of the order is fsync the folder, then record. Small
frames come in hundreds a second: those of the same ``GROUP_S`` share their syncs.
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
"""Between groups, unless somebody waits: syncs then take a few hundredths of the time, whatever a sync takes."""


@dataclass(frozen=True)
class _Waiting:
    folders: frozenset[Path]
    record: FrameRecord
    finished: Callable[[Exception | None], None]
    done: Future[None] = field(default_factory=Future)

    def settle(self, error: Exception | None) -> None:
        try:
            self.finished(error)
        except BaseException as failure:  # as any pool does
            self.done.set_exception(failure)
        else:
            self.done.set_result(None)


class GroupCommitter:
    """Records frames in a thread of its own; close it before the writer of the records."""

    def __init__(self, records: RecordWriter) -> None:
        """Starts no thread before the first frame.

        Args:
            records: where to.
        """
        self._records = records
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._hurry = threading.Event()
        self._last_s = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")

    def commit(
        self, folders: Iterable[Path], record: FrameRecord, finished: Callable[[Exception | None], None]
    ) -> Future[None]:
        """Records a frame that lies under its name, its bytes synced.

        Args:
            folders: in which names are new and not synced.
            record: of the frame.
            finished: called when the frame survives a power cut, or with the reason why it is not recorded.

        Returns:
            Done after ``finished``, with what it raised.
        """
        entry = _Waiting(frozenset(folders), record, finished)
        with self._lock:
            self._waiting.append(entry)
        self._thread.submit(self._commit_waiting)
        return entry.done

    def flush(self) -> None:
        """Records what waits now: somebody waits for the end of it."""
        self._hurry.set()

    def close(self) -> None:
        """Ends when all that wait are recorded."""
        self.flush()
        self._thread.shutdown(wait=True)

    def _commit_waiting(self) -> None:
        with self._lock:
            if not self._waiting:  # the group before took it along
                return
        self._hurry.wait(self._last_s + GROUP_S - time.monotonic())
        with self._lock:
            self._hurry.clear()
            group, self._waiting = self._waiting, []
        try:
            self._commit(group)
            self._last_s = time.monotonic()
        except Exception:  # one record must not cost the others
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

    def _commit(self, group: list[_Waiting]) -> None:
        for folder in frozenset[Path]().union(*(entry.folders for entry in group)):
            fsync_folder(folder)
        self._records.append(*(entry.record for entry in group))
