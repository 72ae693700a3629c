"""Append-only, checksummed records of finished frames: one JSON-lines file per writer in ``OUTPUT/.stylereel/``.

A line is the first 16 digits of the SHA-256 of the JSON text, a space, and the JSON text of a ``FrameRecord``. A torn
last line, or a line that a faulty disk changed, fails its checksum and counts as never written, so the frame is made
again. The order that makes a record true: fsync the file, rename it, fsync its folder (``atomic.write_atomically`` does
all three), then append. Several writers may work at the same time, on several machines too: each has its own file, and
``RecordTail`` reads all of them.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from stylegan_core.storage.atomic import fsync_folder
from stylegan_core.storage.frame_record import FrameRecord
from stylegan_core.storage.state_folder import STATE_FOLDER
from stylegan_core.storage.stop_errors import lost_folder

_CHECKSUM_DIGITS = 16


class RecordWriter:
    """Appends records. Thread-safe; close it, or use it in a ``with`` statement."""

    def __init__(self, folder: Path) -> None:
        """Chooses a unique file name; the first record creates the file.

        Args:
            folder: the output folder, in which ``.stylereel/`` is created.
        """
        host = re.sub(r"[^A-Za-z0-9]+", "-", platform.node()) or "host"
        self.path = folder / STATE_FOLDER / f"records-{host}-{os.getpid()}-{os.urandom(4).hex()}.jsonl"
        self._lock = threading.Lock()
        self._file: int | None = None
        self._torn = False

    def append(self, *records: FrameRecord) -> None:
        """Writes records durably: one write and one fsync for all of them.

        Raises:
            OSError: for example a full disk. The caller must treat all of the records as not written, although some may
                be read later.
            ValueError: a value that JSON cannot hold, such as NaN; nothing is written.
        """
        line = b"".join(_line(record) for record in records)
        with self._lock:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
                fsync_folder(self.path.parent)
                fsync_folder(self.path.parent.parent)
            # A full disk accepts part of a line: the next record then starts on a new line.
            line = b"\n" + line if self._torn else line
            written = os.write(self._file, line)
            self._torn = written < len(line)
            if self._torn:
                raise OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes were written", str(self.path))
            os.fsync(self._file)
            if not _is_at(self._file, self.path):
                raise lost_folder(self.path.parent.parent)

    def close(self) -> None:
        """Closes the file. Do not append afterwards."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class RecordTail:
    """Reads the records appended since the last call; an incomplete last line is read by a later call."""

    def __init__(self, folder: Path) -> None:
        """Starts before the first record of every writer.

        Args:
            folder: the output folder.
        """
        self._folder = folder / STATE_FOLDER
        self._read_bytes: dict[str, int] = {}

    def new(self) -> list[FrameRecord]:
        """The valid records that were appended since the last call, in the order of ``read_records``."""
        paths = sorted(self._folder.glob("records-*.jsonl"), key=lambda path: (path.stat().st_mtime_ns, path))
        return [record for path in paths for record in self._new_of(path)]

    def _new_of(self, path: Path) -> list[FrameRecord]:
        at = self._read_bytes.get(path.name, 0)
        if path.stat().st_size <= at:
            return []
        with path.open("rb") as file:
            file.seek(at)
            whole, end, rest = file.read().rpartition(b"\n")
        records = [record for line in whole.split(b"\n") if (record := _parse(line)) is not None]
        at += len(whole) + len(end)
        if (last := _parse(rest)) is not None:  # complete but for its line end
            records.append(last)
            at += len(rest)
        self._read_bytes[path.name] = at
        return records


def read_records(folder: Path) -> list[FrameRecord]:
    """All valid records of all writers in ``folder/.stylereel/``; an empty list if there are none.

    Returns:
        In order within a writer, and writers in order of their files' modification times, so that a later record of
        a frame follows an earlier one. Torn and damaged lines are skipped.
    """
    return RecordTail(folder).new()


def newest_by_frame(records: Iterable[FrameRecord]) -> dict[str, FrameRecord]:
    """The newest record of every frame, by the frame's name.

    Args:
        records: oldest first, as ``read_records`` returns them.
    """
    return {record.frame: record for record in records}


def _is_at(file: int, path: Path) -> bool:
    """Whether ``path`` still names the open file: not after an unmount, or after its folder was removed."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except OSError:
        return False


def _line(record: FrameRecord) -> bytes:
    text = json.dumps(record.dump(), ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return f"{_checksum(text)} {text}\n".encode()


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_CHECKSUM_DIGITS]


def _parse(line: bytes) -> FrameRecord | None:
    """The record of a line; None if the line is torn, damaged or not a frame record."""
    try:
        checksum, _, text = line.decode().partition(" ")
        if not text or checksum != _checksum(text):
            return None
        return FrameRecord.parse(json.loads(text))
    except ValueError:  # not UTF-8, or not the fields of a record
        return None
