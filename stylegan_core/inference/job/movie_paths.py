"""Paths of movies: input, output, and the folder that keeps the frames of an output movie until it is assembled."""

from __future__ import annotations

from pathlib import Path

from stylegan_core.frames.movies.probe import is_movie


def reads_movie(source: str | Path) -> bool:
    """Whether INPUT is a movie."""
    return is_movie(Path(source)) and Path(source).is_file()


def writes_movie(output: str | Path) -> bool:
    """Whether OUTPUT is a movie."""
    return is_movie(Path(output)) and not Path(output).is_dir()


def frames_folder(movie: Path) -> Path:
    """Hidden folder next to a movie that keeps its frames until it is assembled."""
    return movie.parent / f".{movie.name}.frames"
