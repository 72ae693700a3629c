"""One frame's way in and out: file to unit RGB, and the network's answer to a file."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stylegan_core.frames.colour import carry_over, to_working
from stylegan_core.frames.picture import Picture, UnreadablePictureError, read_picture, write_picture
from stylegan_core.inference.job import JobFrame
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
    """

    frame: JobFrame
    picture: Picture
    before_unit: Pixels
    mask_unit: Pixels | None
    source: FileState
    mask: FileState | None

    @property
    def height_px(self) -> int:
        """Rows."""
        return int(self.before_unit.shape[0])

    @property
    def width_px(self) -> int:
        """Columns."""
        return int(self.before_unit.shape[1])


def decode_frame(
    frame: JobFrame, source: Path, *, source_space: str, working_space: str, max_megapixels: float = 200.0
) -> Decoded:
    """Reads a frame and its mask.

    Args:
        frame: of the job.
        source: its input.
        source_space: encoding of the input, or "auto".
        working_space: the model's.
        max_megapixels: larger declared sizes are refused before they are decoded.

    Raises:
        UnreadablePictureError: a file is damaged, changed while it was read, or the mask does not fit.
        OSError: a file cannot be read.
    """
    state = FileState.of(source)
    picture = read_picture(source, max_megapixels=max_megapixels)
    mask_unit, mask_state = None, None
    if frame.mask is not None:
        mask_path = Path(frame.mask)
        mask_state = FileState.of(mask_path)
        mask_unit = read_mask(mask_path, picture.height_px, picture.width_px, max_megapixels=max_megapixels)
        _unchanged(mask_path, mask_state)
    before_unit = to_working(picture, source_space=source_space, working_space=working_space)
    if not np.isfinite(before_unit).all():
        raise UnreadablePictureError("it holds pixels that are infinite or not a number")
    _unchanged(source, state)
    return Decoded(frame, picture, before_unit, mask_unit, state, mask_state)


def read_mask(path: Path, height_px: int, width_px: int, *, max_megapixels: float = 200.0) -> Pixels:
    """A mask as (H, W) float32 in [0, 1]: its first channel by value, as painted, without colour conversion.

    Raises:
        UnreadablePictureError: it is damaged or of another size.
    """
    try:
        picture = read_picture(path, max_megapixels=max_megapixels)
    except UnreadablePictureError as error:
        raise UnreadablePictureError(f"its mask {path.name}: {error.reason}") from error
    if (picture.height_px, picture.width_px) != (height_px, width_px):
        raise UnreadablePictureError(
            f"its mask {path.name} is {picture.width_px} x {picture.height_px} px, "
            f"but the picture {width_px} x {height_px}"
        )
    values = picture.pixels[:, :, 0]
    largest = np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1
    unit: Pixels = np.clip(values.astype(np.float32) / largest, 0, 1)
    return unit


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


def _unchanged(path: Path, state: FileState) -> None:
    status = path.stat()
    if (status.st_size, status.st_mtime_ns) != (state.size_bytes, state.mtime_ns):
        raise UnreadablePictureError(f"{path.name} changed while it was read: it is still being written")
