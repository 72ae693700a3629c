"""Movie record: which movie was assembled from an output folder's frames, kept in ``OUTPUT/.stylereel/movie.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.file_state import FileState

_FILE = "movie.json"


@dataclass(frozen=True)
class MovieRecord:
    """An assembled movie.

    Attributes:
        path: the movie.
        made: its file when it was written.
        key: digest of its frames and settings, see ``assemble_job``.
    """

    path: Path
    made: FileState
    key: str


def read_movie_record(state_folder: Path) -> MovieRecord | None:
    """The record of the movie; None if there is none, or it is damaged.

    Args:
        state_folder: ``.stylereel`` of the output folder.
    """
    try:
        fields = json.loads((state_folder / _FILE).read_bytes())
        return MovieRecord(Path(fields["movie"]), FileState.parse(fields["made"]), str(fields["key"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_movie_record(state_folder: Path, record: MovieRecord) -> None:
    """Writes the record atomically.

    Raises:
        OSError: it cannot be written.
    """
    fields = {"key": record.key, "made": record.made.as_list(), "movie": str(record.path)}
    write_bytes_atomically(state_folder / _FILE, json.dumps(fields).encode())
