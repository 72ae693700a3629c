"""Small display-encoded pictures of frames, for cut detection and motion: shrunk before colours are converted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from stylegan_core.frames.colour.convert import to_working
from stylegan_core.frames.colour.srgb import display_encoded
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.inference.job.frame_settings import FrameSettings
from stylegan_core.inference.network.translate import Pixels
from stylegan_core.inference.reading.colour import space_of

_RESIZED_TYPES = (np.uint8, np.uint16, np.float32)
"""Of OpenCV."""


def display_unit(picture: Picture, settings: FrameSettings, path: Path, size: tuple[int, int]) -> Pixels:
    """(h, w, 3) float32 in the job's working space, display-encoded where that is linear.

    Args:
        picture: as it was read; its other views are not used.
        settings: of the job.
        path: of its file, for file rules.
        size: height and width; smaller than the picture, or its own.
    Raises:
        UnreadablePictureError: the picture lacks what the source space needs.
    """
    pixels = picture.pixels
    if pixels.shape[:2] != size:
        resized = pixels if pixels.dtype in _RESIZED_TYPES else pixels.astype(np.float32)
        resized = cv2.resize(resized, size[::-1], interpolation=cv2.INTER_AREA).astype(pixels.dtype)
        pixels = resized.reshape(*size, pixels.shape[2])
    unit = to_working(
        replace(picture, pixels=pixels, other_views=()),
        source_space=space_of(picture, settings, path).name,
        working_space=settings.working_space,
        ocio=settings.colour_config,
    )
    return display_encoded(unit, settings.working_space)
