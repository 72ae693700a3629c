"""Movies as input or output: the frames to make of a movie, and the movie that the outputs are assembled to."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.movies.encoding import (
    CODECS,
    CONTAINERS,
    MovieWriteError,
    choose_encoding,
    encoding_warnings,
)
from stylegan_core.frames.movies.frame_file import SUFFIX
from stylegan_core.frames.movies.probe import MovieInfo, probe_movie
from stylegan_core.frames.sequences.frame_range import parse_frame_range, write_frame_range
from stylegan_core.inference.job.delivery import MovieTarget
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.planning.request import Request
from stylegan_core.inference.planning.selection.output_names import OutputNames

_MXF_RATES = (24, 25, 30, 48, 50, 60, 72, 75, 90, 96, 100, 120)
"""Frame rates of MXF; all but multiples of 25 are allowed times 1000/1001, too."""


def movie_target(request: Request) -> MovieTarget:
    """The movie that a request makes.

    Raises:
        PlanError: its container or codec cannot be written, or its quality or rate is out of range.
    """
    path, codec, quality, fps = Path(request.output), request.codec, request.quality, request.fps
    takes = CONTAINERS.get(path.suffix.lower())
    if takes is None:
        raise PlanError(f"OUTPUT {path}: the name of a movie must end in {', '.join(CONTAINERS)}")
    if codec is not None and codec not in takes:
        known = f"; known codecs are {', '.join(CODECS)}" if codec not in CODECS else ""
        raise PlanError(f"--codec {codec}: {path.suffix} supports {', '.join(takes)} here{known}")
    if quality is not None and (not 0 <= quality <= 51 or codec not in (None, "h264", "hevc")):
        raise PlanError(f"--quality {quality}: must be 0 (best) to 51, and requires h264 or hevc; 12 is near lossless")
    if fps <= 0:
        raise PlanError(f"--fps is {fps:g}, but must be more than 0")
    return MovieTarget(path=path.absolute(), codec=codec, quality=quality, rate=str(exact_rate(fps)))


def exact_rate(fps: float) -> Fraction:
    """The exact frame rate of a rounded one: 23.976 and 29.97 are 24000/1001 and 30000/1001."""
    whole = round(fps * 1.001)
    if not fps.is_integer() and abs(fps - whole / 1.001) < 0.005:
        return Fraction(whole * 1000, 1001)
    return Fraction(fps).limit_denominator(1001)


def check_movie_of_pictures(movie: MovieTarget) -> None:
    """Refuses a movie of pictures that cannot be written, before the pictures are made.

    Raises:
        PlanError: its codec has no quality setting, or its container does not support its rate.
    """
    codec = movie.codec or CONTAINERS[movie.path.suffix.lower()][0]
    if movie.quality is not None and codec not in ("h264", "hevc"):
        raise PlanError(f"--quality requires h264 or hevc, but {movie.path.name} is written as {codec}")
    check_rate(movie.path, Fraction(movie.rate))


def check_rate(path: Path, rate: Fraction) -> None:
    """Refuses a frame rate that the container of a movie does not support, before frames are made for it.

    Raises:
        PlanError: the container is MXF, and the rate is not one of film or television.
    """
    known = {*map(Fraction, _MXF_RATES), *(Fraction(whole * 1000, 1001) for whole in _MXF_RATES if whole % 25)}
    if path.suffix.lower() == ".mxf" and rate not in known:
        raise PlanError(f"{path.name}: .mxf supports the rates of film and television, not {float(rate):g}: use .mov")


def choose_movie_frames(
    request: Request, names: OutputNames, movie: MovieTarget | None
) -> tuple[list[FrameTask], list[str]]:
    """The frames to make of a movie, and notes for the user.

    Args:
        request: whose source is a movie; its first frame is number 1.
        names: of the outputs, unless they become a movie.
        movie: that the outputs become; None is pictures.

    Raises:
        PlanError: the movie cannot be read, or a number lies beyond its end.
    """
    source = Path(request.source)
    try:
        info = probe_movie(source)
        count = len(info.pts)
        numbers = parse_frame_range(request.frames) if request.frames else range(1, count + 1)
    except (UnreadablePictureError, OSError, ValueError) as error:
        raise PlanError(str(error)) from error
    if beyond := [number for number in numbers if not 1 <= number <= count]:
        raise PlanError(f"{source} has no frame {write_frame_range(beyond)}: its numbers are 1 to {count}")
    numbers = sorted(numbers)[:: request.every][: request.limit]
    digits = max(4, len(str(count)))
    tasks = []
    for number in numbers:
        name = f"{source.stem}.{number:0{digits}d}{'.png' if movie is None else SUFFIX}"
        output = names.name(name, number) if movie is None else name
        tasks.append(FrameTask(input=source.name, output=output, number=number, index=number - 1))
    notes = list(info.warnings)
    if movie is not None:
        _check_movie_of_movie(movie, info)
        notes += encoding_warnings(movie.path, info, movie.codec)
    return tasks, [f"{source.name} {note}" for note in notes] + _lost_tracks(info, len(tasks), movie)


def _check_movie_of_movie(movie: MovieTarget, info: MovieInfo) -> None:
    try:
        choose_encoding(movie.path, info, info.pix_fmt, movie.codec, movie.quality)
    except MovieWriteError as error:
        raise PlanError(str(error)) from error
    check_rate(movie.path, info.rate)


def _lost_tracks(info: MovieInfo, count: int, movie: MovieTarget | None) -> list[str]:
    if movie is None and any(kind == "audio" for kind, _ in info.tracks):
        return ["pictures have no sound: the movie's sound is dropped"]
    if movie is not None and count < len(info.pts) and info.tracks:
        return ["only a part of the movie is made: its sound and other tracks are dropped"]
    return []
