"""Fingerprint of a shot: names, sizes and modification times of its files. No file is opened."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


class NotAShotError(ValueError):
    """A folder holds something that must not be read, such as a FIFO; the message names it."""


@dataclass(frozen=True)
class Fingerprint:
    """The state of a shot's files.

    Attributes:
        files: digest of the visible files, which decide the result; "" if there are none.
        everything: digest that covers hidden files too: copying programs write to hidden names first.
        count: number of visible files.
    """

    files: str
    everything: str
    count: int


@dataclass(frozen=True)
class _Entry:
    """A file: its path below the shot, its size, and its modification time; a link to nothing has its own time."""

    name: str
    size_bytes: int
    modified_ns: int

    @property
    def hidden(self) -> bool:
        return self.name.rpartition("/")[2].startswith(".")


def fingerprint(shot: Path) -> Fingerprint:
    """The fingerprint of a folder with its tree, links followed, or of a movie. Hidden folders are not entered.

    Raises:
        NotAShotError: it holds a FIFO, a socket or a device: opening one could wait for ever.
        OSError: a folder cannot be listed.
    """
    if shot.is_dir():
        entries = sorted(_walk(shot, "", frozenset()), key=lambda entry: entry.name)
    else:
        status = shot.stat()
        entries = [_Entry(shot.name, status.st_size, status.st_mtime_ns)]
    visible = [entry for entry in entries if not entry.hidden]
    return Fingerprint(_digest(visible) if visible else "", _digest(entries), len(visible))


def _walk(folder: Path, prefix: str, above: frozenset[str]) -> Iterator[_Entry]:
    here = above | {os.path.realpath(folder)}
    with os.scandir(folder) as listed:
        entries = list(listed)
    for entry in entries:
        name = prefix + entry.name
        try:
            status = entry.stat()
        except FileNotFoundError:
            if (link := _own_time_ns(entry)) is not None:
                yield _Entry(name, -1, link)
            continue
        if stat.S_ISDIR(status.st_mode):
            if not entry.name.startswith(".") and os.path.realpath(entry.path) not in here:
                yield from _walk(Path(entry.path), f"{name}/", here)
        elif stat.S_ISREG(status.st_mode):
            yield _Entry(name, status.st_size, status.st_mtime_ns)
        elif not entry.name.startswith("."):
            raise NotAShotError(f"holds {name}, which is not a file: remove it")


def _own_time_ns(entry: os.DirEntry[str]) -> int | None:
    """Modification time of a link to nothing; None: the entry is gone."""
    try:
        return entry.stat(follow_symlinks=False).st_mtime_ns
    except FileNotFoundError:
        return None


def _digest(entries: list[_Entry]) -> str:
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(os.fsencode(entry.name) + f"\0{entry.size_bytes} {entry.modified_ns}\n".encode())
    return digest.hexdigest()
