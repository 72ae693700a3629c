"""Where the pictures of a job come from: picture files, movies, and neighbours of frames that are missing."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.movies.frame_file import SUFFIX as MOVIE_FRAME
from stylegan_core.frames.movies.reader import MovieReader
from stylegan_core.frames.movies.to_picture import movie_picture, with_alpha
from stylegan_core.frames.pictures.picture import Picture, read_picture
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.reading.masks import refuse_changed
from stylegan_core.storage.file_state import FileState


class FrameReader:
    """Reads the inputs of a job's frames; several threads may share it."""

    def __init__(self, job: Job) -> None:
        """Opens nothing yet.

        Args:
            job: whose frames will be read.
        """
        self._job = job
        self._movies: dict[Path, tuple[MovieReader, FileState]] = {}
        self._lock = threading.Lock()

    def path(self, frame: FrameTask) -> Path:
        """The file that a frame is in."""
        return self._job.input_path(frame)

    def read(self, frame: FrameTask) -> tuple[Picture, FileState]:
        """The picture of a frame, and its file as it was read: its neighbour's if it is missing.

        Raises:
            UnreadablePictureError: the file is damaged, or changed while it was read.
            OSError: it cannot be read.
        """
        path = self._job.input_path(frame)
        if frame.index is not None:
            picture, state = self._movie_frame(path, frame.index)
            return picture if Path(frame.output).suffix == MOVIE_FRAME else with_alpha(picture), state
        state = FileState.of(path)
        picture = read_picture(path, max_megapixels=self._job.max_megapixels)
        refuse_changed(path, state)
        return _blackened(picture) if frame.missing == "black" else picture, state

    def close(self) -> None:
        """Closes the movies."""
        with self._lock:
            for reader, _ in self._movies.values():
                reader.close()
            self._movies.clear()

    def _movie_frame(self, path: Path, index: int) -> tuple[Picture, FileState]:
        """A movie is hashed once, not for each of its frames."""
        with self._lock:
            if path not in self._movies:
                self._movies[path] = (MovieReader(path), FileState.of(path))
            reader, state = self._movies[path]
        try:
            planes = reader.read(index)
        except UnreadablePictureError as error:
            raise UnreadablePictureError(error.reason, path) from error
        refuse_changed(path, state)
        return movie_picture(planes, reader.facts), state


def _blackened(picture: Picture) -> Picture:
    """Of the same size and type, with the same metadata; alpha is 0 too."""
    others = tuple(np.zeros_like(view) for view in picture.other_views)
    return replace(picture, pixels=np.zeros_like(picture.pixels), other_views=others, warnings=())
