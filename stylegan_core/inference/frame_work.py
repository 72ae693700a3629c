"""One frame's way in and out: file to unit RGB, and the network's answer to a file."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stylegan_core.frames.colour import carry_over, to_working
from stylegan_core.frames.picture import Picture, UnreadablePictureError, read_picture, write_picture
from stylegan_core.inference.job import JobFrame
from stylegan_core.inference.masks import RegionReader, RegionWeights, read_mask, refuse_changed
from stylegan_core.inference.resume import FileState
from stylegan_core.inference.translate import Pixels

_NO_MOUNT = ("ESTALE", "ENOTCONN", "ENODEV", "EMFILE", "ENFILE")
_READING_STOPS = frozenset(getattr(errno, name) for name in _NO_MOUNT if hasattr(errno, name))
_WRITING_STOPS = _READING_STOPS | {
    getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EROFS", "EIO", "EACCES", "EPERM") if hasattr(errno, name)
}


@dataclass(frozen=True)
class Decoded:
    """A frame that waits for the network.

    Attributes:
        frame: of the job.
        picture: as it was read.
        before_unit: (H, W, 3) float32 in the working space.
        mask_unit: (H, W) float32 in [0, 1], or None.
        source: the input file as it was read.
        mask: the mask file as it was read, or None.
        regions: of a job that has them.
    """

    frame: JobFrame
    picture: Picture
    before_unit: Pixels
    mask_unit: Pixels | None
    source: FileState
    mask: FileState | None
    regions: RegionWeights | None = None

    @property
    def height_px(self) -> int:
        """Rows."""
        return int(self.before_unit.shape[0])

    @property
    def width_px(self) -> int:
        """Columns."""
        return int(self.before_unit.shape[1])


def decode_frame(
    frame: JobFrame,
    source: Path,
    *,
    source_space: str,
    working_space: str,
    max_megapixels: float = 200.0,
    regions: RegionReader | None = None,
) -> Decoded:
    """Reads a frame, its mask and its regions.

    Args:
        frame: of the job.
        source: its input.
        source_space: encoding of the input, or "auto".
        working_space: the model's.
        max_megapixels: larger declared sizes are refused before they are decoded.
        regions: reads those of a job that has them.

    Raises:
        UnreadablePictureError: a file is damaged, changed while it was read, or a mask does not fit.
        OSError: a file cannot be read.
    """
    state = FileState.of(source)
    picture = read_picture(source, max_megapixels=max_megapixels)
    mask_unit, mask_state = None, None
    if frame.mask is not None:
        mask_path = Path(frame.mask)
        mask_state = FileState.of(mask_path)
        mask_unit = read_mask(mask_path, picture.height_px, picture.width_px, max_megapixels=max_megapixels)
        refuse_changed(mask_path, mask_state)
    weights = regions.read(frame, picture.height_px, picture.width_px) if regions is not None else None
    before_unit = to_working(picture, source_space=source_space, working_space=working_space)
    if not np.isfinite(before_unit).all():
        raise UnreadablePictureError("it holds pixels that are infinite or not a number")
    refuse_changed(source, state)
    return Decoded(frame, picture, before_unit, mask_unit, state, mask_state, weights)


def encode_frame(
    decoded: Decoded,
    after_unit: Pixels,
    output: Path,
    *,
    strength: float,
    source_space: str,
    working_space: str,
    temporary_folder: Path | None = None,
) -> None:
    """Carries the network's change over to the source and writes the result, whole or not at all.

    Args:
        decoded: the frame.
        after_unit: (H, W, 3) float32, the network's answer in the working space.
        output: where; its suffix is the format.
        strength: how much of the change.
        source_space: as it was decoded.
        working_space: as it was decoded.
        temporary_folder: on the file system of ``output``.

    Raises:
        OSError: the file cannot be written.
    """
    result = carry_over(
        decoded.picture,
        decoded.before_unit,
        after_unit,
        strength=strength,
        mask_unit=decoded.mask_unit,
        source_space=source_space,
        working_space=working_space,
    )
    write_picture(output, result, temporary_folder=temporary_folder)


def reading_stops(error: BaseException) -> bool:
    """Whether the next frame could not be read either: a vanished mount, no file handles left."""
    return isinstance(error, OSError) and error.errno in _READING_STOPS


def writing_stops(error: BaseException) -> bool:
    """Whether the next frame could not be written either: a full disk, a folder without permission, ..."""
    return isinstance(error, OSError) and error.errno in _WRITING_STOPS
