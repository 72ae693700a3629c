"""Reference pictures as input of networks: read, reduced, padded, or cropped to squares."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.colour.context import ColourContext
from stylegan_core.frames.colour.convert import to_working
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.inference.job.frame_settings import StyleReference
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.network.translate import Pixels
from stylegan_core.networks.padding import MINIMUM_PX, MULTIPLE_PX, pad_reflected
from stylegan_core.storage.hashing import sha256_of

REFERENCE_PX = 512
"""Largest side of a reference; larger ones are reduced."""


def reference_signed(picture: Pixels) -> Tensor:
    """(1, 3, H, W) in [-1, 1]: a whole reference at the size of which recipes make codes.

    Args:
        picture: (H, W, 3) in [0, 1] in the model's working space; longer sides than ``REFERENCE_PX`` are reduced to it,
            shorter ones than ``MINIMUM_PX`` extended by reflection.
    """
    signed = _signed(_reduced(picture))
    height, width = signed.shape[-2:]
    return pad_reflected(signed, max(0, MINIMUM_PX - height), max(0, MINIMUM_PX - width))


def _signed(picture: Pixels) -> Tensor:
    """(1, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(picture)).mul(2.0).sub(1.0).permute(2, 0, 1)[None].contiguous()


def squares(pictures: Sequence[Pixels]) -> Tensor:
    """(K, 3, S, S) in [-1, 1]: centre crops at the largest size that the smallest reference allows."""
    side_px = min(min(picture.shape[:2]) for picture in pictures)
    side_px = max(MINIMUM_PX, side_px // MULTIPLE_PX * MULTIPLE_PX)
    return torch.cat([_signed(cover(picture, side_px, side_px)) for picture in pictures])


def cover(picture: Pixels, height_px: int, width_px: int) -> Pixels:
    """(H, W, 3) scaled to cover a size and cropped at the centre."""
    height, width = picture.shape[:2]
    if (height, width) == (height_px, width_px):
        return picture
    factor = max(height_px / height, width_px / width)
    size = (max(width_px, round(width * factor)), max(height_px, round(height * factor)))
    scaled = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    top, left = (scaled.shape[0] - height_px) // 2, (scaled.shape[1] - width_px) // 2
    covered: Pixels = np.ascontiguousarray(scaled[top : top + height_px, left : left + width_px], dtype=np.float32)
    return covered


def read_reference(reference: StyleReference, colour: ColourContext) -> Pixels:
    """(H, W, 3) in [0, 1] in the working space; longer sides than ``REFERENCE_PX`` are reduced to it.

    Raises:
        PlanError: the file has changed since planning, or cannot be read.
    """
    try:
        if sha256_of(reference.path) != reference.sha256:
            raise PlanError(f"the style image {reference.path} was changed since the job was planned: plan again")
        picture = read_picture(reference.path)
        return _reduced(to_working(picture, working_space=colour.working_space, ocio=colour.ocio))
    except (OSError, UnreadablePictureError) as error:
        raise PlanError(f"the style image {reference.path} cannot be read: {error}") from error


def _reduced(picture: Pixels) -> Pixels:
    factor = REFERENCE_PX / max(picture.shape[:2])
    if factor >= 1:
        return picture
    size = (max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor)))
    smaller: Pixels = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return smaller
