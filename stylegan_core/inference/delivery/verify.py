"""Verification: compares an output folder with its records, and finds what is missing, changed or not made yet."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from stylegan_core.inference.delivery.movie_record import MovieRecord, read_movie_record
from stylegan_core.inference.job.movie_paths import frames_folder, writes_movie
from stylegan_core.inference.job.report import Failure, failure_reason
from stylegan_core.inference.job.spec import PlanError, read_job
from stylegan_core.inference.output.lock import TEMPORARY_FOLDER
from stylegan_core.storage.hashing import sha256_of
from stylegan_core.storage.records import newest_by_frame, read_records
from stylegan_core.storage.state_folder import STATE_FOLDER

SIDECAR_SUFFIX = ".c2pa"
_THREADS = 8


class NoRecordsError(ValueError):
    """The folder is not an output folder of stylize."""


@dataclass(frozen=True)
class Verdict:
    """The state of an output folder; names are relative to it.

    Attributes:
        output: the folder.
        whole: frames that match their records.
        missing: frames that have a record but no file.
        changed: frames whose bytes differ from their records.
        unreadable: frames that cannot be read.
        unmade: frames of the last job without a record.
        foreign: files without a record.
        temporaries: files of a run that is working or was killed.
        movie: what is wrong with the movie that was assembled from the frames; None: nothing, or there is no movie.
    """

    output: Path
    whole: tuple[str, ...]
    missing: tuple[str, ...]
    changed: tuple[str, ...]
    unreadable: tuple[Failure, ...]
    unmade: tuple[str, ...]
    foreign: tuple[str, ...]
    temporaries: tuple[str, ...]
    movie: Failure | None = None

    @property
    def wrong(self) -> tuple[Failure, ...]:
        """Every frame, and the movie, that does not match its record, with the reason."""
        reasons = (
            (self.missing, "missing"),
            (self.changed, "differs from what was written"),
            (self.unmade, "not made yet, or its input failed"),
        )
        named = [Failure(self.output / name, reason) for names, reason in reasons for name in names]
        movie = [self.movie] if self.movie is not None else []
        return tuple(sorted([*named, *self.unreadable, *movie], key=lambda failure: failure.path))

    def as_dict(self) -> dict[str, object]:
        """Plain values, for JSON."""
        return {
            "output": str(self.output),
            "whole": len(self.whole),
            "missing": list(self.missing),
            "changed": list(self.changed),
            "unreadable": [{"path": str(f.path), "reason": f.reason} for f in self.unreadable],
            "unmade": list(self.unmade),
            "foreign": list(self.foreign),
            "temporaries": list(self.temporaries),
            "movie": self.movie.reason if self.movie is not None else None,
        }


def verify(output: Path) -> Verdict:
    """Hashes every frame of an output folder, and the movie that was assembled from them.

    Args:
        output: an output folder of stylize, or a movie.

    Raises:
        NoRecordsError: the folder has no records.
        OSError: the folder cannot be read.
    """
    if writes_movie(output):
        output = frames_folder(output)
    newest = newest_by_frame(read_records(output))
    planned = _last_planned(output)
    if not newest and not planned:
        raise NoRecordsError(f"{output} has no records of stylereel: pass an OUTPUT folder of `stylereel stylize`")
    names = sorted(newest)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="verify") as pool:
        states = list(pool.map(lambda name: _state(output / name, newest[name].made.sha256), names))
    found: dict[str, list[str]] = {"whole": [], "missing": [], "changed": []}
    unreadable = []
    for name, state in zip(names, states, strict=True):
        if isinstance(state, Failure):
            unreadable.append(state)
        else:
            found[state].append(name)
    movie = read_movie_record(output / STATE_FOLDER)
    sidecars = {Path(name).with_suffix(SIDECAR_SUFFIX).as_posix() for name in newest}
    return Verdict(
        output=output,
        whole=tuple(found["whole"]),
        missing=tuple(found["missing"]),
        changed=tuple(found["changed"]),
        unreadable=tuple(unreadable),
        unmade=tuple(sorted(set(planned) - set(newest))),
        foreign=tuple(sorted(name for name in _files(output) if name not in newest and name not in sidecars)),
        temporaries=tuple(sorted(p.name for p in (output / STATE_FOLDER / TEMPORARY_FOLDER).glob("*"))),
        movie=_movie_problem(movie) if movie is not None else None,
    )


def _movie_problem(record: MovieRecord) -> Failure | None:
    path = record.path
    state = _state(path, record.made.sha256)
    reasons = {"missing": "missing", "changed": "differs from what was written"}
    return state if isinstance(state, Failure) else Failure(path, reasons[state]) if state in reasons else None


def _state(path: Path, sha256: str) -> str | Failure:
    try:
        return "whole" if sha256_of(path) == sha256 else "changed"
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return Failure(path, failure_reason(error))


def _last_planned(output: Path) -> tuple[str, ...]:
    """Outputs of the newest job file that can be read."""
    files = sorted((output / STATE_FOLDER).glob("job-*.json"), key=lambda path: path.stat().st_mtime_ns)
    for file in reversed(files):
        try:
            return tuple(frame.output for frame in read_job(file).frames)
        except (PlanError, OSError):
            continue
    return ()


def _files(output: Path) -> list[str]:
    """Files below the folder, except hidden ones, with forward slashes."""
    found = []
    for folder, folders, names in os.walk(output):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [(Path(folder) / name).relative_to(output).as_posix() for name in names if not name.startswith(".")]
    return found
