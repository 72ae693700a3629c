"""Makes finished frames last, in groups: one fsync of a folder and one of the records for all frames that wait.

A frame's file is synced and has its name by then; what is left of the order is fsync the folder, then record. Where
frames come faster than the disk syncs, they wait for each other; a lone frame waits for none.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from stylegan_core.frames.atomic import fsync_folder
from stylegan_core.frames.records import RecordWriter
from stylegan_core.inference.resume import Record


class Committer:
    """Records frames in a thread of its own; close it before the writer of the records."""

    def __init__(self, records: RecordWriter) -> None:
        """Starts no thread before the first frame.

        Args:
            records: where to.
        """
        self._records = records
        self._lock = threading.Lock()
        self._waiting: list[tuple[frozenset[Path], Record, Future[None]]] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")

    def commit(self, folders: Iterable[Path], record: Record) -> Future[None]:
        """Records a frame that lies under its name, its bytes synced.

        Args:
            folders: in which names are new and not synced.
            record: from ``frame_record``.

        Returns:
            Done when the frame survives a power cut; with OSError or ValueError if it is not recorded.
        """
        done: Future[None] = Future()
        with self._lock:
            self._waiting.append((frozenset(folders), record, done))
        self._thread.submit(self._commit_waiting)
        return done

    def close(self) -> None:
        """Ends when all that wait are recorded."""
        self._thread.shutdown(wait=True)

    def _commit_waiting(self) -> None:
        with self._lock:
            group, self._waiting = self._waiting, []
        if not group:
            return
        try:
            self._commit(group)
        except Exception:  # one record must not cost the others
            for one in group:
                try:
                    self._commit([one])
                except Exception as error:
                    one[2].set_exception(error)
                else:
                    one[2].set_result(None)
            return
        for _, _, done in group:
            done.set_result(None)

    def _commit(self, group: list[tuple[frozenset[Path], Record, Future[None]]]) -> None:
        for folder in frozenset[Path]().union(*(folders for folders, _, _ in group)):
            fsync_folder(folder)
        self._records.append(*(record for _, record, _ in group))
