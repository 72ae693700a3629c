"""Movies as INPUT or OUTPUT: which frames a call is about, and where they are kept until the movie is put together."""

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
from stylegan_core.inference.planning.selection.output_names import OutputNames

_MXF_RATES = (24, 25, 30, 48, 50, 60, 72, 75, 90, 96, 100, 120)
"""Frames a second; all but multiples of 25 are there times 1000/1001, too."""


def movie_target(output: str | Path, codec: str | None, quality: int | None, fps: float) -> MovieTarget:
    """The movie that a call makes.

    Args:
        output: its path.
        codec: asked for, or None.
        quality: constant rate factor asked for, or None.
        fps: frames a second, where the source is no movie.

    Raises:
        PlanError: no such container or codec can be written.
    """
    path = Path(output)
    takes = CONTAINERS.get(path.suffix.lower())
    if takes is None:
        raise PlanError(f"OUTPUT {output}: movies are written with a name that ends in {', '.join(CONTAINERS)}")
    if codec is not None and codec not in takes:
        known = f"; known codecs are {', '.join(CODECS)}" if codec not in CODECS else ""
        raise PlanError(f"--codec {codec}: {path.suffix} takes {', '.join(takes)} here{known}")
    if quality is not None and (not 0 <= quality <= 51 or codec not in (None, "h264", "hevc")):
        raise PlanError(f"--quality {quality}: of h264 and hevc, 0 (the most) to 51; 12 is near lossless")
    if fps <= 0:
        raise PlanError(f"--fps is {fps:g}, but a movie has more than 0 frames a second")
    return MovieTarget(path=path.absolute(), codec=codec, quality=quality, rate=str(exact_rate(fps)))


def exact_rate(fps: float) -> Fraction:
    """Frames a second as meant: 23.976 and 29.97 are 24000/1001 and 30000/1001."""
    whole = round(fps * 1.001)
    if not fps.is_integer() and abs(fps - whole / 1.001) < 0.005:
        return Fraction(whole * 1000, 1001)
    return Fraction(fps).limit_denominator(1001)


def check_movie_of_pictures(movie: MovieTarget) -> None:
    """Refuses what a movie of pictures cannot be, before they are made.

    Raises:
        PlanError: its codec has no quality to choose, or its container cannot say its rate.
    """
    codec = movie.codec or CONTAINERS[movie.path.suffix.lower()][0]
    if movie.quality is not None and codec not in ("h264", "hevc"):
        raise PlanError(f"--quality is of h264 and hevc; {movie.path.name} becomes {codec}, which has none")
    check_rate(movie.path, Fraction(movie.rate))


def check_rate(path: Path, asked: Fraction) -> None:
    """Refuses a rate that the container of a movie cannot say, before frames are made for it.

    Raises:
        PlanError: it is MXF, and not one of film or television.
    """
    known = {*map(Fraction, _MXF_RATES), *(Fraction(rate * 1000, 1001) for rate in _MXF_RATES if rate % 25)}
    if path.suffix.lower() == ".mxf" and asked not in known:
        raise PlanError(f"{path.name}: .mxf takes rates of film and television, not {float(asked):g}; .mov takes any")


def choose_movie_frames(
    source: Path, names: OutputNames, *, frames: str | None, every: int, limit: int | None, movie: MovieTarget | None
) -> tuple[list[FrameTask], list[str]]:
    """The frames of a movie to make, and what a person should hear of it.

    Args:
        source: the movie; its first frame is number 1.
        names: of the outputs, unless they become a movie.
        frames: a range of numbers.
        every: of what ``frames`` leaves, the first of every so many.
        limit: of what ``every`` leaves, the first so many.
        movie: that the frames are kept for; None is pictures.

    Raises:
        PlanError: the movie cannot be read, or a number lies beyond its end.
    """
    to_movie = movie is not None
    try:
        facts = probe_movie(source)
        asked = parse_frame_range(frames) if frames else range(1, len(facts.pts) + 1)
    except (UnreadablePictureError, OSError, ValueError) as error:
        raise PlanError(str(error)) from error
    if beyond := [number for number in asked if not 1 <= number <= len(facts.pts)]:
        raise PlanError(f"{source} has no frame {write_frame_range(beyond)}: its numbers are 1 to {len(facts.pts)}")
    digits = max(4, len(str(len(facts.pts))))
    numbers = sorted(asked)[::every][:limit]
    suffix = SUFFIX if to_movie else ".png"
    own = {number: f"{source.stem}.{number:0{digits}d}{suffix}" for number in numbers}
    chosen = [
        FrameTask(
            input=source.name,
            output=own[number] if to_movie else names.name(own[number], number),
            number=number,
            index=number - 1,
        )
        for number in numbers
    ]
    if movie is not None:
        try:
            choose_encoding(movie.path, facts, facts.pix_fmt, movie.codec, movie.quality)
        except MovieWriteError as error:
            raise PlanError(str(error)) from error
        check_rate(movie.path, facts.rate)
    told = [*facts.warnings, *(encoding_warnings(movie.path, facts, movie.codec) if movie is not None else ())]
    return chosen, [f"{source.name} {warning}" for warning in told] + _lost(facts, len(numbers), to_movie)


def _lost(facts: MovieInfo, count: int, to_movie: bool) -> list[str]:
    if not to_movie and any(kind == "audio" for kind, _ in facts.tracks):
        return ["pictures have no sound: the movie's is left out"]
    if to_movie and count < len(facts.pts) and facts.tracks:
        return ["a part of the movie is made: its sound and other tracks are left out"]
    return []
