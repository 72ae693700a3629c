"""Where the pictures of a job come from: picture files, movies, and neighbours of frames that are missing."""

from __future__ import annotations

from stylegan_core.frames.picture import Picture, read_picture
from stylegan_core.inference.job import Job, JobFrame
from stylegan_core.inference.masks import refuse_changed
from stylegan_core.inference.resume import FileState


class Sources:
    """Reads the inputs of a job's frames; several threads may share it."""

    def __init__(self, job: Job) -> None:
        """Opens nothing yet.

        Args:
            job: whose frames will be read.
        """
        self._job = job

    def read(self, frame: JobFrame) -> tuple[Picture, FileState]:
        """The picture of a frame, and its file as it was read.

        Raises:
            UnreadablePictureError: the file is damaged, or changed while it was read.
            OSError: it cannot be read.
        """
        path = self._job.input_path(frame)
        state = FileState.of(path)
        picture = read_picture(path, max_megapixels=self._job.max_megapixels)
        refuse_changed(path, state)
        return picture, state
