"""One movie frame as a file: FFV1 in Matroska, which keeps every pixel format and has checksums.

A job stores its movie frames in this form until all are made: each one is recorded, skipped and made again like a
picture file.
"""

from __future__ import annotations

from pathlib import Path

import av

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.base.frame_planes import Plane
from stylegan_core.frames.movies.ffv1_checksum import all_slices_valid
from stylegan_core.frames.movies.planes import planes_of, video_frame
from stylegan_core.storage.atomic import write_atomically

SUFFIX = ".mkv"
STORED = {"gbrp": "bgr0", "gbrap": "bgra"}
"""Pixel formats whose samples FFV1 stores in another order, and the format of that order."""


def write_movie_frame(
    path: Path, pix_fmt: str, planes: tuple[Plane, ...], *, temporary_folder: Path | None = None
) -> None:
    """Writes planes losslessly; writes the whole file or none.

    Args:
        path: ends in ``SUFFIX``.
        pix_fmt: of the planes.
        planes: (h, w) each.
        temporary_folder: on the file system of ``path``.

    Raises:
        OSError: the file cannot be written; ``path`` is unchanged.
    """

    def write(temporary: Path) -> None:
        with av.open(str(temporary), "w", format="matroska", options={"fflags": "+bitexact"}) as container:
            stream = container.add_stream("ffv1", rate=1)
            height, width = planes[0].shape
            stored = STORED.get(pix_fmt, pix_fmt)
            stream.width, stream.height, stream.pix_fmt = width, height, stored
            # Version 3 has a checksum for each slice; a single thread makes the bytes reproducible.
            stream.options = {"level": "3", "slicecrc": "1", "threads": "1"}
            frame = video_frame(pix_fmt, planes)
            if stored != pix_fmt:
                frame = frame.reformat(format=stored)
            frame.pts = 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))

    write_atomically(path, write, temporary_folder)


def read_movie_frame(path: Path) -> tuple[str, tuple[Plane, ...]]:
    """Pixel format and planes, as written.

    Raises:
        UnreadablePictureError: the file is damaged.
        OSError: the file cannot be read.
    """
    if not path.is_file():
        raise FileNotFoundError(2, "there is no such file", str(path))
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            packet = next(container.demux(video=0))
            frame = next(iter([*packet.decode(), *container.streams.video[0].decode(None)]), None)
            if frame is None or not all_slices_valid(bytes(packet)):
                raise UnreadablePictureError("it is damaged", path)
            found = planes_of(frame, "bt709", True)
    except av.error.FFmpegError as error:
        raise UnreadablePictureError(f"it is damaged: {error.strerror}", path) from error
    return found.pix_fmt, found.planes
