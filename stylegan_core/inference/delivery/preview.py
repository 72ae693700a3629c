"""The preview movie of a job's outputs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.colour.convert import to_working
from stylegan_core.frames.movies.preview_writer import write_preview
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.inference.job.spec import Job

logger = logging.getLogger(__name__)

LARGEST_SIDE_PX = 1920


def write_job_preview(job: Job, movie: Path, *, fps: float = 24.0) -> Path | None:
    """Writes a movie of the existing outputs, in the order of the job.

    Args:
        job: whose outputs are shown.
        movie: ends in .mp4.
        fps: frames a second.

    Returns:
        ``movie``, or None if there is no output, or the outputs differ in size.
    """
    existing = [path for path in map(job.output_path, job.frames) if path.is_file()]
    if not existing:
        return None
    try:
        write_preview(_srgb_pictures(existing, result_space(job), job.settings.colour_config), movie, fps=fps)
    except (ValueError, UnreadablePictureError) as error:
        logger.warning("cannot write the preview movie: %s", error)
        return None
    return movie


def is_sequence(job: Job) -> bool:
    """Whether the frames look like one shot: at least two, numbered, in one folder."""
    paths = [Path(frame.output) for frame in job.frames]
    in_one_folder = len({path.parent for path in paths}) == 1
    return len(paths) > 1 and in_one_folder and all(path.stem[-1:].isdecimal() for path in paths)


def result_space(job: Job) -> str:
    """Colour space that the outputs are read in: the requested one, else that of the sources, or by their tags."""
    settings, first = job.settings, job.frames[0]
    if settings.output_space != "source":
        return settings.output_space
    return settings.source_space if Path(first.input).suffix == Path(first.output).suffix else "auto"


def _srgb_pictures(paths: Sequence[Path], source_space: str, ocio: str) -> Iterator[npt.NDArray[Any]]:
    for path in paths:
        unit = to_working(read_picture(path), source_space=source_space, working_space="srgb", ocio=ocio)
        yield _reduced(np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8))


def _reduced(picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
    height, width = picture.shape[:2]
    factor = LARGEST_SIDE_PX / max(height, width)
    if factor >= 1:
        return picture
    import cv2

    size = (max(2, round(width * factor)), max(2, round(height * factor)))
    reduced: npt.NDArray[Any] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return reduced
