"""Append-only, checksummed records of finished frames: one JSON-lines file per writer in ``OUTPUT/.stylereel/``.

A line is the first 16 digits of the SHA-256 of the JSON text, a space, the JSON text. A torn last line, or a line that
a bad disk changed, fails its checksum and counts as never written, so the frame is made again. The order that makes
a record true: fsync the file, rename it, fsync its folder (``atomic.write_atomically`` does all three), then append.
Many writers, on several machines too, work side by side: each has a file of its own, and ``RecordTail`` reads them all.
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
from typing import Any

from stylegan_core.storage.atomic import fsync_folder

RECORDS_FOLDER = ".stylereel"
_CHECKSUM_DIGITS = 16


class RecordWriter:
    """Appends records; safe to use from several threads. Close it, or use it in a ``with`` statement."""

    def __init__(self, folder: Path) -> None:
        """Chooses a name that no other writer has; the file is made with the first record.

        Args:
            folder: the output folder, in which ``.stylereel/`` is made.
        """
        host = re.sub(r"[^A-Za-z0-9]+", "-", platform.node()) or "host"
        self.path = folder / RECORDS_FOLDER / f"records-{host}-{os.getpid()}-{os.urandom(4).hex()}.jsonl"
        self._lock = threading.Lock()
        self._file: int | None = None
        self._torn = False

    def append(self, *records: dict[str, Any]) -> None:
        """Writes records so that they survive a power cut: one write and one fsync for all.

        Raises:
            OSError: a full disk, say; the records count as never written, though some may be found later.
            ValueError: not JSON, a NaN for example; none is written.
        """
        line = b"".join(_line(record) for record in records)
        with self._lock:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
                fsync_folder(self.path.parent)
                fsync_folder(self.path.parent.parent)
            # A full disk takes a part of a line: the next record starts on a line of its own.
            line = b"\n" + line if self._torn else line
            written = os.write(self._file, line)
            self._torn = written < len(line)
            if self._torn:
                raise OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes were written", str(self.path))
            os.fsync(self._file)
            if not _lies_at(self._file, self.path):
                raise OSError(errno.ESTALE, "it was unmounted or removed", str(self.path.parent.parent))

    def close(self) -> None:
        """Closes the file; a later ``append`` is an error of the operating system."""
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
    """Reads what writers have appended since it was asked last; a line without its end waits for the next time."""

    def __init__(self, folder: Path) -> None:
        """Begins with the first record of every writer.

        Args:
            folder: the output folder.
        """
        self._folder = folder / RECORDS_FOLDER
        self._read_bytes: dict[str, int] = {}

    def new(self) -> list[dict[str, Any]]:
        """Valid records that are new, ordered as ``read_records`` orders them."""
        paths = sorted(self._folder.glob("records-*.jsonl"), key=lambda path: (path.stat().st_mtime_ns, path))
        return [record for path in paths for record in self._new_of(path)]

    def _new_of(self, path: Path) -> list[dict[str, Any]]:
        at = self._read_bytes.get(path.name, 0)
        if path.stat().st_size <= at:
            return []
        with path.open("rb") as file:
            file.seek(at)
            whole, end, rest = file.read().rpartition(b"\n")
        records = [record for line in whole.split(b"\n") if (record := _parse(line)) is not None]
        at += len(whole) + len(end)
        if (last := _parse(rest)) is not None:  # only its line end is torn off
            records.append(last)
            at += len(rest)
        self._read_bytes[path.name] = at
        return records


def read_records(folder: Path) -> list[dict[str, Any]]:
    """All valid records of all writers in ``folder/.stylereel/``; none if there are none.

    Returns:
        In order within a writer, and writers in order of their files' times, so that a later record of a frame
        comes after an earlier one. Torn and damaged lines are left out.
    """
    return RecordTail(folder).new()


def newest_by_frame(records: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The newest record of every frame, by its name below the output folder.

    Args:
        records: older ones first, as ``read_records`` gives them.
    """
    return {name: record for record in records if isinstance(name := record.get("frame"), str)}


def _lies_at(file: int, path: Path) -> bool:
    """Whether a reader would find the open file: not if its file system was unmounted or its folder removed."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except OSError:
        return False


def _line(record: dict[str, Any]) -> bytes:
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return f"{_checksum(text)} {text}\n".encode()


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_CHECKSUM_DIGITS]


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        checksum, _, text = line.decode().partition(" ")
    except UnicodeDecodeError:
        return None
    if not text or checksum != _checksum(text):
        return None
    record = json.loads(text)
    return record if isinstance(record, dict) else None
