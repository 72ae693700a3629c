"""Frame reader: the pictures of a job's frames, from picture files and movies, and in place of missing frames."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.colour.convert import to_working
from stylegan_core.frames.movies.frame_file import SUFFIX as MOVIE_FRAME
from stylegan_core.frames.movies.reader import MovieReader
from stylegan_core.frames.movies.to_picture import movie_picture, with_alpha
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.network.tiling import MOST_WHOLE_PX
from stylegan_core.inference.reading.colour import space_of
from stylegan_core.inference.reading.decoded_frame import DecodedFrame
from stylegan_core.inference.reading.refuse_changed import refuse_changed
from stylegan_core.storage.file_state import FileState


class FrameReader:
    """Reads the inputs of a job's frames. Thread-safe."""

    def __init__(self, job: Job) -> None:
        """Opens nothing yet.

        Args:
            job: whose frames are read.
        """
        self._job = job
        self._movies: dict[Path, tuple[MovieReader, FileState]] = {}
        self._lock = threading.Lock()

    def path(self, task: FrameTask) -> Path:
        """The file that a frame is read from."""
        return self._job.input_path(task)

    def load(self, task: FrameTask) -> DecodedFrame:
        """A frame with its pixels in the working space, without mask, regions and window.

        Raises:
            UnreadablePictureError: the file is damaged, changed while it was read, or lacks a colour space.
            OSError: it cannot be read.
        """
        picture, state = self.read(task)
        settings = self._job.settings
        space = space_of(picture, settings, self._job.input_path(task))
        # A large frame is rendered in bands, to save memory; regions and windows need whole frames.
        large = picture.height_px * picture.width_px > MOST_WHOLE_PX
        rows = 0 if large and not settings.regions and not settings.blend_frames else picture.height_px
        first, *others = [
            DecodedFrame(
                task,
                replace(picture, pixels=pixels, other_views=()),
                space,
                to_working(
                    replace(picture, pixels=pixels[:rows], other_views=()),
                    source_space=space.name,
                    working_space=settings.working_space,
                    ocio=settings.colour_config,
                ),
                state,
                view,
            )
            for view, pixels in enumerate((picture.pixels, *picture.other_views))
        ]
        return replace(first, picture=picture, other_views=tuple(others))

    def read(self, task: FrameTask) -> tuple[Picture, FileState]:
        """The picture of a frame, and the state of its file; of its neighbour if the frame is missing.

        Raises:
            UnreadablePictureError: the file is damaged, or changed while it was read.
            OSError: it cannot be read.
        """
        path = self._job.input_path(task)
        if task.index is not None:
            picture, state = self._movie_frame(path, task.index)
            return picture if Path(task.output).suffix == MOVIE_FRAME else with_alpha(picture), state
        state = FileState.of(path)
        picture = read_picture(path, max_megapixels=self._job.max_megapixels)
        refuse_changed(path, state)
        return _black(picture) if task.missing == "black" else picture, state

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
        return movie_picture(planes, reader.info), state


def _black(picture: Picture) -> Picture:
    """A picture of the same size, sample type and metadata whose samples are all 0, alpha too."""
    others = tuple(np.zeros_like(view) for view in picture.other_views)
    return replace(picture, pixels=np.zeros_like(picture.pixels), other_views=others, warnings=())
