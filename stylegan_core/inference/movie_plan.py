"""Movies as INPUT or OUTPUT: which frames a call is about, and where they are kept until the movie is put together."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from stylegan_core.frames.movie_facts import MovieFacts, is_movie, probe_movie
from stylegan_core.frames.movie_frame_file import SUFFIX
from stylegan_core.frames.movie_writer import CODECS, CONTAINERS, told_of_codec
from stylegan_core.frames.ranges import parse_frame_range, write_frame_range
from stylegan_core.frames.unreadable import UnreadablePictureError
from stylegan_core.inference.delivery import MovieTarget
from stylegan_core.inference.job import JobFrame, PlanError
from stylegan_core.inference.output_names import OutputNames


def reads_movie(source: str | Path) -> bool:
    """Whether INPUT is a movie."""
    return is_movie(Path(source)) and Path(source).is_file()


def writes_movie(output: str | Path) -> bool:
    """Whether OUTPUT is a movie."""
    return is_movie(Path(output)) and not Path(output).is_dir()


def frames_folder(movie: Path) -> Path:
    """Where the frames of a movie that is being made are kept: beside it, hidden."""
    return movie.parent / f".{movie.name}.frames"


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
    rate = str(Fraction(fps).limit_denominator(1001))
    return MovieTarget(path=path.absolute(), codec=codec, quality=quality, rate=rate)


def choose_movie_frames(
    source: Path, names: OutputNames, *, frames: str | None, every: int, limit: int | None, movie: MovieTarget | None
) -> tuple[list[JobFrame], list[str]]:
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
        JobFrame(
            input=source.name,
            output=own[number] if to_movie else names.name(own[number], number),
            number=number,
            index=number - 1,
        )
        for number in numbers
    ]
    told = [*facts.warnings, *(told_of_codec(movie.path, facts, movie.codec) if movie is not None else ())]
    return chosen, [f"{source.name} {warning}" for warning in told] + _lost(facts, len(numbers), to_movie)


def _lost(facts: MovieFacts, count: int, to_movie: bool) -> list[str]:
    if not to_movie and any(kind == "audio" for kind, _ in facts.tracks):
        return ["pictures have no sound: the movie's is left out"]
    if to_movie and count < len(facts.pts) and facts.tracks:
        return ["a part of the movie is made: its sound and other tracks are left out"]
    return []
