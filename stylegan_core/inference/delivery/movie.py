"""Assembles the movie of a job from its outputs, once all frames are made, unless the movie is up to date."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

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
from stylegan_core.inference.delivery.movie_record import MovieRecord, read_movie_record, write_movie_record
from stylegan_core.inference.job.spec import Job, PlanError
from stylegan_core.inference.output.lock import TEMPORARY_FOLDER
from stylegan_core.inference.output.provenance import load_signer, movie_provenance, write_signed
from stylegan_core.inference.reading.colour import space_of
from stylegan_core.storage.file_state import FileState
from stylegan_core.storage.records import read_records

TimedFrame = tuple[int, str, tuple[Plane, ...]]
"""Presentation time stamp, pixel format, planes."""


@dataclass(frozen=True)
class AssembledMovie:
    """A movie that is up to date.

    Attributes:
        path: the file.
        made: whether it was written now.
        dropped: descriptions of what the movie could not keep from the source.
    """

    path: Path
    made: bool
    dropped: tuple[str, ...] = ()


def refuse_foreign_movie(job: Job) -> None:
    """Protects a file that has the name of the movie but was not made by stylereel.

    Raises:
        PlanError: there is such a file.
    """
    if job.movie is not None and job.movie.path.exists() and read_movie_record(job.state_folder) is None:
        raise PlanError(f"stylereel did not make {job.movie.path}: choose another name, or pass --overwrite")


def assemble_job(job: Job) -> AssembledMovie:
    """Assembles the movie of a job whose frames are all made, unless it is up to date.

    Args:
        job: with a movie.

    Raises:
        PlanError: a frame is missing, or no encoder accepts the frames.
        OSError: the movie cannot be written.
    """
    assert job.movie is not None
    if missing := [task.output for task in job.frames if not job.output_path(task).is_file()]:
        raise PlanError(f"{job.movie.path} lacks {len(missing)} frames, such as {missing[0]}: run again to make them")
    key, record = _key(job), read_movie_record(job.state_folder)
    if record is not None and record.key == key and record.made.unchanged(job.movie.path, checksum=False):
        return AssembledMovie(job.movie.path, made=False)
    facts, frames = _frames(job)
    first = next(iter(frames()), None)
    assert first is not None
    provenance, temporaries, dropped = movie_provenance(job), job.state_folder / TEMPORARY_FOLDER, list[str]()

    def make(file: Path) -> None:
        assert job.movie is not None
        assert first is not None
        encoding = choose_encoding(file, facts, first[1], job.movie.codec, job.movie.quality)
        keep_tracks, tags = _is_whole_movie(job, facts), movie_tags(provenance)
        dropped.extend(
            assemble_movie(
                file, frames(), facts, encoding, keep_tracks=keep_tracks, tags=tags, temporary_folder=temporaries
            )
        )

    signer = load_signer(job.signing) if job.signing is not None else None
    source = job.input_path(job.frames[0]) if job.frames[0].index is not None else None
    try:
        write_signed(job.movie.path, make, signer, provenance, source, temporaries)
    except (MovieWriteError, SigningError) as error:
        raise PlanError(str(error)) from error
    write_movie_record(job.state_folder, MovieRecord(job.movie.path, FileState.of(job.movie.path), key))
    return AssembledMovie(job.movie.path, made=True, dropped=tuple(dropped))


def _is_whole_movie(job: Job, facts: MovieInfo) -> bool:
    """Whether the job has every frame of a movie, so that the sound fits."""
    return bool(facts.codec) and len(job.frames) == len(facts.pts)


def _key(job: Job) -> str:
    """SHA-256 of what determines the movie: its frames, in order, and how they are assembled."""
    made = {record.frame: record.made.sha256 for record in read_records(job.output_folder)}
    assert job.movie is not None
    parts = [job.movie.model_dump(mode="json"), movie_provenance(job), [made.get(task.output) for task in job.frames]]
    parts += [job.settings.signed_by] if job.settings.signed_by else []
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _frames(job: Job) -> tuple[MovieInfo, Callable[[], Iterator[TimedFrame]]]:
    """The properties of the source movie, or of a movie of pictures, and a function that reads the frames."""
    first = job.frames[0]
    if first.index is not None and job.output_path(first).suffix == SUFFIX:
        facts, first_pts = probe_movie(job.input_path(first)), 0
        if len(job.frames) < len(facts.pts):
            first_pts = facts.pts[first.index]
            timecode = later_timecode(facts.timecode, first.index, facts.rate) if facts.timecode else None
            facts = replace(facts, timecode=timecode)

        def of_movie() -> Iterator[TimedFrame]:
            for frame in job.frames:
                assert frame.index is not None
                yield facts.pts[frame.index] - first_pts, *read_movie_frame(job.output_path(frame))

        return facts, of_movie
    facts, read_planes = _info_of_pictures(job)

    def of_pictures() -> Iterator[TimedFrame]:
        for at, frame in enumerate(job.frames):
            yield at, *read_planes(job.output_path(frame))

    return facts, of_pictures


def _info_of_pictures(job: Job) -> tuple[MovieInfo, Callable[[Path], tuple[str, tuple[Plane, ...]]]]:
    assert job.movie is not None
    first = read_picture(job.output_path(job.frames[0]))
    deep = first.pixels.dtype != np.uint8
    height, width = first.height_px // 2 * 2, first.width_px // 2 * 2  # two columns and rows share their chroma
    facts = info_of_pictures(width, height, len(job.frames), Fraction(job.movie.rate), bits=16 if deep else 8)

    def read_planes(path: Path) -> tuple[str, tuple[Plane, ...]]:
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

    return facts, read_planes
