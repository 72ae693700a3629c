"""Entries of the user's cache that nothing has written to for a long time: checkpoints, decoded pictures, copies."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_DAY_S = 86400.0


@dataclass(frozen=True)
class StaleEntry:
    """A file or folder in one of the cache's folders.

    Attributes:
        path: of the entry.
        size_bytes: of all its files.
        age_days: since its newest file was written.
    """

    path: Path
    size_bytes: int
    age_days: float


def stale_entries(cache: Path, *, older_than_days: float, now_s: float) -> list[StaleEntry]:
    """The entries CACHE/KIND/ENTRY whose newest file is older than a number of days, sorted by path.

    Deleting one costs time, not results: each is made, trained from its start or fetched again.

    Args:
        cache: the user's cache folder; links in it are not followed.
        older_than_days: the age.
        now_s: the time, in seconds since 1970.
    """
    found = []
    for kind in sorted(path for path in cache.iterdir() if path.is_dir() and not path.is_symlink()):
        for path in sorted(kind.iterdir()):
            statuses = list(_statuses(path))
            newest_s = max((status.st_mtime for status in statuses), default=now_s)
            age_days = (now_s - newest_s) / _DAY_S
            if age_days > older_than_days:
                found.append(StaleEntry(path, sum(status.st_size for status in statuses), age_days))
    return found


def remove_entry(entry: StaleEntry) -> None:
    """Removes an entry; one that is gone meanwhile is no error."""
    if entry.path.is_dir() and not entry.path.is_symlink():
        shutil.rmtree(entry.path, ignore_errors=True)
    else:
        entry.path.unlink(missing_ok=True)


def _statuses(path: Path) -> Iterator[os.stat_result]:
    """Of a file, or of a folder and all that is in it."""
    yield path.lstat()
    if path.is_dir() and not path.is_symlink():
        for folder, folders, names in os.walk(path):
            for name in (*folders, *names):
                yield Path(folder, name).lstat()
