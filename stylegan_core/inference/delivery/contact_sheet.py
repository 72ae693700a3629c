"""Contact sheet: a few frames of a job, source and output side by side, to judge a look before the whole shot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from stylegan_core.frames.colour.convert import to_working
from stylegan_core.frames.pictures.encode import write_picture
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.inference.delivery.preview import result_space
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.reading.colour import space_of
from stylegan_core.inference.reading.frame_reader import FrameReader

_TILE_WIDTH_PX, _LABEL_PX, _GAP_PX = 640, 22, 6
_ONE_COLUMN = 3
_GREY, _LIGHT = 40, 220

Thumbnail = npt.NDArray[np.uint8]


def write_contact_sheet(job: Job, frames: Sequence[FrameTask], path: Path) -> None:
    """Writes the sheet.

    Args:
        job: whose outputs exist.
        frames: of the job, in the order of the sheet.
        path: of the sheet; its suffix is the format.

    Raises:
        UnreadablePictureError: an input or an output is damaged.
        OSError: a file cannot be read or written.
    """
    reader, settings = FrameReader(job), job.settings
    pairs = []
    for frame in frames:
        picture, _ = reader.read(frame)
        space = space_of(picture, settings, reader.path(frame)).name
        after = read_picture(job.output_path(frame), max_megapixels=job.max_megapixels)
        pair = [
            thumbnail(picture, space, settings.colour_config),
            thumbnail(after, result_space(job), settings.colour_config),
        ]
        name = f"{frame.output} ({frame.missing})" if frame.missing else frame.output
        pairs.append(labelled(np.hstack([pair[0], _gap(pair[0]), pair[1]]), name))
    write_picture(path, Picture(sheet_of(pairs)))


def thumbnail(picture: Picture, source_space: str, ocio: str | None) -> Thumbnail:
    """(H, W, 3) sRGB, reduced to the width of a tile."""
    unit = to_working(picture, source_space=source_space, working_space="srgb", ocio=ocio)
    height, width = unit.shape[:2]
    size = (_TILE_WIDTH_PX, max(1, round(height * _TILE_WIDTH_PX / width)))
    if width > _TILE_WIDTH_PX:
        unit = cv2.resize(unit, size, interpolation=cv2.INTER_AREA)
    return np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8)


def labelled(picture: Thumbnail, text: str) -> Thumbnail:
    """A picture under a strip with a text."""
    strip: Any = np.full((_LABEL_PX, picture.shape[1], 3), _GREY, np.uint8)
    cv2.putText(strip, text, (6, _LABEL_PX - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (_LIGHT,) * 3, 1, cv2.LINE_AA)
    return np.vstack([strip, picture])


def sheet_of(pictures: Sequence[Thumbnail]) -> Thumbnail:
    """Arranges pictures of any sizes in one column, or in two if there are many."""
    columns = 1 if len(pictures) <= _ONE_COLUMN else 2
    width = max(picture.shape[1] for picture in pictures)
    height = max(picture.shape[0] for picture in pictures)
    rows = -(-len(pictures) // columns)
    step_x, step_y = width + _GAP_PX, height + _GAP_PX
    sheet = np.full((rows * step_y - _GAP_PX, columns * step_x - _GAP_PX, 3), _GREY, np.uint8)
    for at, picture in enumerate(pictures):
        top, left = at // columns * step_y, at % columns * step_x
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet


def _gap(picture: Thumbnail) -> Thumbnail:
    return np.full((picture.shape[0], _GAP_PX, 3), _GREY, np.uint8)
