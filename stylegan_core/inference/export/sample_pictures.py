"""A user's pictures as network inputs, to calibrate and test exports and to train students."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.colour.convert import to_working
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.frames.sequences.listing import list_pictures
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.network.translate import pad_to_network
from stylegan_core.networks.padding import MINIMUM_PX

MOST_PICTURES = 64
"""Largest number of pictures of a folder, evenly chosen: more change little."""
MOST_SIDE_PX = 512
"""Longest side of the centre crop of each."""


def read_pictures(folder: Path, working_space: str, *, most: int = MOST_PICTURES) -> list[Tensor]:
    """Centre crops of pictures, (1, 3, H, W) in [-1, 1] in the working space, sides of 32 px or more.

    Args:
        folder: searched with its subfolders.
        working_space: the model's.
        most: largest number of pictures.
    Raises:
        PlanError: there is no such folder, or a picture in it cannot be read.
    """
    try:
        found = list_pictures(folder)
    except (ValueError, FileNotFoundError, NotADirectoryError) as error:
        raise PlanError(str(error)) from error
    chosen = [found[index] for index in np.unique(np.linspace(0, len(found) - 1, min(most, len(found))).astype(int))]
    pictures: list[Tensor] = []
    for file in chosen:
        try:
            unit = to_working(read_picture(file.path), working_space=working_space)
        except (UnreadablePictureError, OSError) as error:
            raise PlanError(f"{file.path} cannot be read: {error}") from error
        height, width = (min(side, MOST_SIDE_PX) for side in unit.shape[:2])
        top, left = (unit.shape[0] - height) // 2, (unit.shape[1] - width) // 2
        middle = torch.from_numpy(np.ascontiguousarray(unit[top : top + height, left : left + width]))
        signed = middle.permute(2, 0, 1)[None] * 2 - 1
        pictures.append(pad_to_network(signed).contiguous())
    assert all(min(picture.shape[-2:]) >= MINIMUM_PX for picture in pictures)
    return pictures
