"""Entries of an inbox: its shots, and what cannot be one.

The layout is INBOX/MODEL/SHOT: a folder of frames, or a movie. The results have the same layout.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stylegan_core.frames.movies.encoding import CONTAINERS
from stylegan_core.frames.movies.probe import is_movie
from stylegan_core.frames.sequences.listing import PICTURE_SUFFIXES

_LONGEST_NAME_BYTES = 200
"""A marker and a temporary file add their own letters to a name; file systems take 255 bytes."""
_OF_DESKTOPS = frozenset({"thumbs.db", "desktop.ini"})
_CANNOT_BE_READ = "cannot be read"


@dataclass(frozen=True)
class Shot:
    """A shot of an inbox.

    Attributes:
        path: a folder of frames, or a movie.
        model: name of the folder that it is in, which names its model.
    """

    path: Path
    model: str

    @property
    def name(self) -> str:
        """Its path below the inbox, with a forward slash."""
        return f"{self.model}/{self.path.name}"

    @property
    def output_name(self) -> str:
        """Path of its result below the output folder; a movie that cannot be written in its container becomes .mp4."""
        suffix = self.path.suffix.lower()
        return f"{self.name}.mp4" if not self.path.is_dir() and suffix not in CONTAINERS else self.name


@dataclass(frozen=True)
class Found:
    """The content of an inbox.

    Attributes:
        shots: sorted by name.
        problems: reasons by the names of entries that are neither shots nor folders of shots.
    """

    shots: tuple[Shot, ...]
    problems: dict[str, str]


def scan(inbox: Path) -> Found:
    """Lists an inbox. Hidden entries and those of desktops (Thumbs.db) are ignored.

    Raises:
        OSError: the inbox itself cannot be listed.
    """
    shots: list[Shot] = []
    problems: dict[str, str] = {}
    for entry in _visible(inbox):
        shown = _shown(entry.name)
        if (reason := _reason_against_name(entry)) is not None:
            problems[shown] = reason
        elif not _is_folder(entry):
            problems[shown] = "is not a folder: put shots into a folder that names their model, such as last/sh010"
        else:
            try:
                _scan_model(Path(entry.path), shots, problems)
            except OSError as error:
                problems[shown] = f"{_CANNOT_BE_READ}: {error.strerror}"
    return Found(tuple(shots), problems)


def _scan_model(folder: Path, shots: list[Shot], problems: dict[str, str]) -> None:
    for entry in _visible(folder):
        reason = _reason_against_name(entry) or _reason_against_shot(entry)
        if reason is None:
            shots.append(Shot(Path(entry.path), folder.name))
        else:
            problems[f"{folder.name}/{_shown(entry.name)}"] = reason


def _visible(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    return (e for e in listed if not e.name.startswith(".") and e.name.lower() not in _OF_DESKTOPS)


def _reason_against_name(entry: os.DirEntry[str]) -> str | None:
    if len(os.fsencode(entry.name)) > _LONGEST_NAME_BYTES:
        return f"has a name of more than {_LONGEST_NAME_BYTES} bytes: rename it"
    if _shown(entry.name) != entry.name:
        return "has a name that is not UTF-8, as records require: rename it"
    return None


def _reason_against_shot(entry: os.DirEntry[str]) -> str | None:
    """Why an entry of a model's folder is not a shot; None: it is one."""
    try:
        if entry.is_dir():
            return None
        if not entry.is_file():
            return "is a link to nothing" if entry.is_symlink() else "is not a file or a folder: remove it"
    except OSError as error:
        return f"{_CANNOT_BE_READ}: {error.strerror}"
    path = Path(entry.name)
    if is_movie(path):
        return None
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return "is a single frame: put the frames of a shot into a folder"
    return "is neither a folder of frames nor a movie that stylereel reads"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _shown(name: str) -> str:
    """A name as text: bytes that are not UTF-8 become escapes; a very long name is cut."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return text if len(os.fsencode(text)) <= _LONGEST_NAME_BYTES else text[: _LONGEST_NAME_BYTES // 4] + "..."
