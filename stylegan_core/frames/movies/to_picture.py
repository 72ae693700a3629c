"""Conversion of a movie frame to a picture."""

from __future__ import annotations

from dataclasses import replace

import av
import numpy as np

from stylegan_core.frames.base.frame_planes import FramePlanes
from stylegan_core.frames.movies.probe import MovieInfo
from stylegan_core.frames.pictures.picture import Picture

_TRANSFERS = {1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 8: "linear", 13: "iec61966-2-1", 14: "bt2020-10",
              15: "bt2020-12", 16: "smpte2084", 18: "arib-std-b67"}  # fmt: skip
_PRIMARIES = {1: "bt709", 5: "bt470bg", 6: "smpte170m", 9: "bt2020", 11: "smpte431", 12: "smpte432"}


def movie_picture(planes: FramePlanes, info: MovieInfo) -> Picture:
    """The picture of a frame, with its colour tags, and its planes for writing.

    Args:
        planes: of the frame.
        info: of its movie.
    """
    _, _, primaries, transfer = info.colour
    tags: dict[str, object] = {"matrix": info.matrix, "full_range": info.full_range}
    if primaries in _PRIMARIES:
        tags["primaries"] = _PRIMARIES[primaries]
    if transfer in _TRANSFERS:
        tags["transfer"] = _TRANSFERS[transfer]
    return Picture(planes.rgb, format="movie", colour_tags=tags, movie=planes)


def with_alpha(picture: Picture) -> Picture:
    """Adds the movie's alpha, straight, for output as a picture file; returns the same picture without alpha.

    Args:
        picture: from ``movie_picture``.
    """
    planes = picture.movie
    if planes is None or not av.VideoFormat(planes.pix_fmt).components[-1].is_alpha:
        return picture
    most = np.iinfo(picture.pixels.dtype).max
    unit = planes.planes[-1].astype(np.float32) / ((1 << planes.bits) - 1)
    alpha = np.rint(unit * most).astype(picture.pixels.dtype)
    return replace(picture, pixels=np.dstack([picture.pixels, alpha]), has_alpha=True)
