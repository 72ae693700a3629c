"""Puts a job's outputs together to its movie, once all of them are there; nothing is done when nothing has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from stylegan_core.frames.base.frame_planes import Plane
from stylegan_core.frames.colour.convert import to_working
from stylegan_core.frames.movies.encoding import MovieWriteError, choose_encoding
from stylegan_core.frames.movies.frame_file import SUFFIX, read_movie_frame
from stylegan_core.frames.movies.probe import MovieInfo, info_of_pictures, probe_movie
from stylegan_core.frames.movies.timecode import later_timecode
from stylegan_core.frames.movies.writer import assemble_movie
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.frames.provenance.c2pa import SigningError
from stylegan_core.frames.provenance.tags import movie_tags
from stylegan_core.inference.job.spec import Job, PlanError
from stylegan_core.inference.output.lock import TEMPORARY_FOLDER
from stylegan_core.inference.output.provenance import load_signer, movie_provenance, write_signed
from stylegan_core.inference.reading.colour import space_of
from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.file_state import FileState
from stylegan_core.storage.records import read_records

_RECORD = "movie.json"

Timed = tuple[int, str, tuple[Plane, ...]]


@dataclass(frozen=True)
class Assembled:
    """A movie that is there.

    Attributes:
        path: the file.
        made: whether it was written now.
        left: what could not be kept, in words.
    """

    path: Path
    made: bool
    left: tuple[str, ...] = ()


def refuse_foreign_movie(job: Job) -> None:
    """Spares a file of the movie's name that no run made.

    Raises:
        PlanError: there is one.
    """
    if job.movie is not None and job.movie.path.exists() and _known(job) is None:
        raise PlanError(f"{job.movie.path} is no movie that stylereel made: choose another name, or pass --overwrite")


def assemble_job(job: Job) -> Assembled:
    """The movie of a job whose frames are all made.

    Args:
        job: with a movie.

    Raises:
        PlanError: a frame is missing, or no encoder takes the frames.
        OSError: it cannot be written.
    """
    assert job.movie is not None
    if lacking := [frame.output for frame in job.frames if not job.output_path(frame).is_file()]:
        raise PlanError(f"{job.movie.path} waits for {len(lacking)} frames, such as {lacking[0]}: run again to finish")
    key, known = _key(job), _known(job)
    if (
        known is not None
        and known["key"] == key
        and FileState.parse(known["made"]).unchanged(job.movie.path, checksum=False)
    ):
        return Assembled(job.movie.path, made=False)
    facts, frames = _frames(job)
    first = next(iter(frames()), None)
    assert first is not None
    said, temporaries, left = movie_provenance(job), job.state_folder / TEMPORARY_FOLDER, list[str]()

    def make(file: Path) -> None:
        assert job.movie is not None
        assert first is not None
        form = choose_encoding(file, facts, first[1], job.movie.codec, job.movie.quality)
        kept, tags = _all_there(job, facts), movie_tags(said)
        left.extend(
            assemble_movie(file, frames(), facts, form, keep_tracks=kept, tags=tags, temporary_folder=temporaries)
        )

    signer = load_signer(job.signing) if job.signing is not None else None
    source = job.input_path(job.frames[0]) if job.frames[0].index is not None else None
    try:
        write_signed(job.movie.path, make, signer, said, source, temporaries)
    except (MovieWriteError, SigningError) as error:
        raise PlanError(str(error)) from error
    record = {"key": key, "made": FileState.of(job.movie.path).as_list(), "movie": str(job.movie.path)}
    write_bytes_atomically(job.state_folder / _RECORD, json.dumps(record).encode())
    return Assembled(job.movie.path, made=True, left=tuple(left))


def recorded_movie(state_folder: Path) -> tuple[Path, FileState] | None:
    """The movie that was put together of an output folder's frames, as it was written; None if there is none.

    Args:
        state_folder: ``.stylereel`` of the folder.
    """
    try:
        found = json.loads((state_folder / _RECORD).read_bytes())
        return Path(found["movie"]), FileState.parse(found["made"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _all_there(job: Job, facts: MovieInfo) -> bool:
    """Whether every frame of a movie is made, so that its sound fits."""
    return bool(facts.codec) and len(job.frames) == len(facts.pts)


def _key(job: Job) -> str:
    """What decides the movie: its frames, in order, and how they are put together."""
    made = {record.frame: record.made.sha256 for record in read_records(job.output_folder)}
    assert job.movie is not None
    said = [job.movie.model_dump(mode="json"), movie_provenance(job), [made.get(frame.output) for frame in job.frames]]
    said += [job.settings.signed_by] if job.settings.signed_by else []
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _known(job: Job) -> dict[str, Any] | None:
    try:
        found = json.loads((job.state_folder / _RECORD).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and {"key", "made"} <= found.keys() else None


def _frames(job: Job) -> tuple[MovieInfo, Callable[[], Iterator[Timed]]]:
    """The source's facts, and a function that begins to read the frames."""
    first = job.frames[0]
    if first.index is not None and job.output_path(first).suffix == SUFFIX:
        facts = probe_movie(job.input_path(first))
        base = 0
        if len(job.frames) < len(facts.pts):
            base = facts.pts[first.index]
            began = later_timecode(facts.timecode, first.index, facts.rate) if facts.timecode else None
            facts = replace(facts, timecode=began)

        def of_movie() -> Iterator[Timed]:
            for frame in job.frames:
                assert frame.index is not None
                yield facts.pts[frame.index] - base, *read_movie_frame(job.output_path(frame))

        return facts, of_movie
    facts, shown = _facts_of_pictures(job)

    def of_pictures() -> Iterator[Timed]:
        for at, frame in enumerate(job.frames):
            yield at, *shown(job.output_path(frame))

    return facts, of_pictures


def _facts_of_pictures(job: Job) -> tuple[MovieInfo, Callable[[Path], tuple[str, tuple[Plane, ...]]]]:
    assert job.movie is not None
    first = read_picture(job.output_path(job.frames[0]))
    deep = first.pixels.dtype != np.uint8
    height, width = first.height_px // 2 * 2, first.width_px // 2 * 2  # chroma is shared by two
    facts = info_of_pictures(width, height, len(job.frames), Fraction(job.movie.rate), bits=16 if deep else 8)

    def shown(path: Path) -> tuple[str, tuple[Plane, ...]]:
        picture = read_picture(path)
        if (picture.height_px // 2 * 2, picture.width_px // 2 * 2) != (height, width):
            raise PlanError(f"{path.name} is {picture.width_px} x {picture.height_px} px, unlike the first frame")
        unit = to_working(
            replace(picture, pixels=picture.pixels[:height, :width]),
            source_space=space_of(picture, job.settings, path).name,
            working_space="srgb",
            ocio=job.settings.colour_config,
        )
        most, kind, pix_fmt = (65535, np.uint16, "gbrp16le") if deep else (255, np.uint8, "gbrp")
        codes = np.rint(np.clip(unit, 0, 1) * most).astype(kind)
        return pix_fmt, tuple(np.ascontiguousarray(codes[..., channel]) for channel in (1, 2, 0))

    return facts, shown
