"""Rows of a picture in a model's working space: of a large one, only its samples are in memory as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.colour.convert import to_working
from stylegan_core.frames.colour.source_space import SourceSpace
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.inference.job.frame_settings import FrameSettings
from stylegan_core.inference.network.translate import Pixels

ROWS_AT_ONCE = 128
"""Colour conversions need many times the memory of what they convert."""


@dataclass(frozen=True)
class PictureRows:
    """Rows of a picture in a model's working space.

    Attributes:
        picture: in its own samples.
        to_working: converts a picture of some of its rows.
    """

    picture: Picture
    to_working: Callable[[Picture], Pixels]

    @property
    def height_px(self) -> int:
        """Rows."""
        return self.picture.height_px

    @property
    def width_px(self) -> int:
        """Columns."""
        return self.picture.width_px

    def unit(self, first: int, last: int) -> Pixels:
        """(last - first, W, 3) float32.

        Raises:
            UnreadablePictureError: a pixel is infinite or not a number.
        """
        unit = np.empty((last - first, self.width_px, 3), np.float32)
        for begin in range(first, last, ROWS_AT_ONCE):
            end = min(last, begin + ROWS_AT_ONCE)
            unit[begin - first : end - first] = self.to_working(rows_of(self.picture, begin, end))
        if not np.isfinite(unit).all():
            raise UnreadablePictureError("it holds pixels that are infinite or not a number")
        return unit


def picture_rows(picture: Picture, space: SourceSpace, settings: FrameSettings) -> PictureRows:
    """Rows of a picture in the working space of a job's model.

    Args:
        picture: as it was read.
        space: its colour space.
        settings: of the job.
    """
    convert = partial(
        to_working, source_space=space.name, working_space=settings.working_space, ocio=settings.colour_config
    )
    return PictureRows(picture, convert)


def rows_of(picture: Picture, first: int, last: int) -> Picture:
    """A picture of some rows, which shares the memory of the whole."""
    return replace(picture, pixels=picture.pixels[first:last], other_views=())
