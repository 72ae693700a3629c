"""Masks and label maps: the weight of each region at each pixel of a frame."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.colour.context import ColourContext
from stylegan_core.frames.colour.convert import to_working
from stylegan_core.frames.formats.exr.read import Window
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.inference.conditioning.reference_pictures import cover
from stylegan_core.inference.job.frame_settings import Region
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.network.translate import Pixels
from stylegan_core.inference.reading.refuse_changed import refuse_changed
from stylegan_core.storage.file_state import FileState

_NEGLIGIBLE = 1e-5
"""Rounding errors of weights that sum to 1 must not run a model."""


@dataclass(frozen=True)
class RegionWeights:
    """The regions of one frame.

    Attributes:
        weights: (H, W) float32 in [0, 1] for each region; their sum is at most 1; None for an empty region.
        rest: 1 minus their sum; None if that is 0 everywhere.
        pictures: (H, W, 3) float32 in the working space, for the regions that show one.
        files: states of the files when they were read, two for each region, as ``FrameTask.auxiliary_files`` lists
            them.
    """

    weights: tuple[Pixels | None, ...]
    rest: Pixels | None
    pictures: tuple[Pixels | None, ...]
    files: tuple[FileState | None, ...]

    def replaced(self, regions: Sequence[Region]) -> Pixels | None:
        """(H, W) how much of each pixel is replaced by the pictures of regions; None: no pixel is."""
        total: Pixels | None = None
        for region, weight, picture in zip(regions, self.weights, self.pictures, strict=True):
            if weight is not None and picture is not None:
                shown = weight * np.float32(min(region.strength, 1.0))
                total = shown if total is None else total + shown
        return total


class RegionReader:
    """Reads the regions of a job's frames. Thread-safe."""

    def __init__(self, regions: Sequence[Region], colour: ColourContext, max_megapixels: float) -> None:
        """Reads nothing yet.

        Args:
            regions: of the job.
            colour: the working space of its models, and the config that pictures are read with.
            max_megapixels: limit of the size that a file may declare.
        """
        self._regions, self._colour, self._max_megapixels = tuple(regions), colour, max_megapixels
        self._lock = threading.Lock()
        self._last: dict[int, tuple[Path, FileState, Pixels]] = {}  # one backdrop serves many frames

    def read(self, frame: FrameTask, height_px: int, width_px: int) -> RegionWeights:
        """The regions of a frame of this size.

        Raises:
            UnreadablePictureError: a mask or picture is missing, damaged or of another size.
            OSError: a file cannot be read.
        """
        states = {path: FileState.of(path) for path in dict.fromkeys(frame.auxiliary_files) if path is not None}
        maps: dict[Path, Picture] = {}  # one label map serves several regions
        weights: list[Pixels | None] = []
        pictures: list[Pixels | None] = []
        for index, (region, files) in enumerate(zip(self._regions, frame.regions, strict=True)):
            weight = self._weight(index, region, files.where, maps, height_px, width_px)
            shown = None
            if region.shows_picture and weight is not None:
                if files.picture is None:
                    raise UnreadablePictureError(f"its region {index + 1} has no picture for it")
                shown = self._backdrop(index, files.picture, states[files.picture], height_px, width_px)
            weights.append(weight)
            pictures.append(shown)
        for path, state in states.items():
            refuse_changed(path, state)
        shares, rest = normalized(weights, height_px, width_px)
        listed = tuple(states[path] if path is not None else None for path in frame.auxiliary_files)
        return RegionWeights(shares, rest, tuple(pictures), listed)

    def _weight(
        self,
        index: int,
        region: Region,
        path: Path | None,
        maps: dict[Path, Picture],
        height_px: int,
        width_px: int,
    ) -> Pixels | None:
        """(H, W) in [0, 1], feathered; None for an empty region."""
        if path is None:
            if region.missing_mask == "error":
                raise UnreadablePictureError(f"its region {index + 1} has no mask for it")
            return np.ones((height_px, width_px), np.float32) if region.missing_mask == "everywhere" else None
        if path not in maps:
            maps[path] = _read_map(path, height_px, width_px, self._max_megapixels)
        hard = _unit(maps[path]) if region.value is None else selected(maps[path].pixels, region.value)
        if not hard.any():
            return None
        return feathered(hard, region.feather_px)

    def _backdrop(self, index: int, path: Path, state: FileState, height_px: int, width_px: int) -> Pixels:
        with self._lock:
            kept = self._last.get(index)
        if kept is not None and kept[:2] == (path, state) and kept[2].shape[:2] == (height_px, width_px):
            return kept[2]
        try:
            picture = read_picture(path, max_megapixels=self._max_megapixels)
        except UnreadablePictureError as error:
            raise UnreadablePictureError(f"its picture {path.name}: {error.reason}") from error
        unit = to_working(picture, working_space=self._colour.working_space, ocio=self._colour.ocio)
        shown = cover(unit, height_px, width_px)
        with self._lock:
            self._last[index] = (path, state, shown)
        return shown


def read_mask(
    path: Path,
    height_px: int,
    width_px: int,
    *,
    window: Window | None = None,
    max_megapixels: float = 200.0,
) -> Pixels:
    """A mask as (H, W) float32 in [0, 1]: its first channel by value, as painted, without colour conversion.

    Args:
        path: of the mask.
        height_px: of the picture.
        width_px: of the picture.
        window: data window of a picture that differs from its display window: a mask of the display window's size is
            cropped to it, and pixels outside of the display window get the mask of its edge.
        max_megapixels: limit of the size that the file may declare; checked before decoding.

    Raises:
        UnreadablePictureError: the mask is damaged or has another size.
    """
    picture = _read_picture(path, max_megapixels)
    if window is not None and (picture.width_px, picture.height_px) == window[2:] != (width_px, height_px):
        rows = np.clip(np.arange(window[1], window[1] + height_px), 0, picture.height_px - 1)
        columns = np.clip(np.arange(window[0], window[0] + width_px), 0, picture.width_px - 1)
        picture = replace(picture, pixels=picture.pixels[rows][:, columns])
    return _unit(_of_size(path, picture, height_px, width_px))


def selected(labels: npt.NDArray[np.generic], value: int | tuple[int, int, int]) -> Pixels:
    """(H, W) float32: 1 where a label map has the value, else 0.

    Args:
        labels: (H, W, 1-4), samples of the file.
        value: red, green and blue; or one number for all channels.
    """
    colours = labels[:, :, :3] if labels.shape[2] >= 3 else labels[:, :, :1]
    mask: Pixels = np.all(colours == np.asarray(value), axis=2).astype(np.float32)
    return mask


def feathered(mask_unit: Pixels, feather_px: float) -> Pixels:
    """A mask with a soft edge, which extends three times ``feather_px`` beyond the hard edge and is exactly 0 there.

    The edge is softened symmetrically, so that regions which fill a frame together still fill it.

    Args:
        mask_unit: (H, W) in [0, 1].
        feather_px: standard deviation of the Gaussian; 0 returns the mask unchanged.
    """
    if feather_px <= 0:
        return mask_unit
    side_px = 2 * math.ceil(3 * feather_px) + 1
    soft: Pixels = cv2.GaussianBlur(mask_unit, (side_px, side_px), feather_px, borderType=cv2.BORDER_REPLICATE)
    return np.clip(soft, 0, 1, out=soft)


def normalized(
    weights: Sequence[Pixels | None], height_px: int, width_px: int
) -> tuple[tuple[Pixels | None, ...], Pixels | None]:
    """Weights whose sum is at most 1, and 1 minus their sum; overlapping regions are scaled in proportion.

    Args:
        weights: (H, W) in [0, 1], None for an empty region; may be changed in place.
        height_px: of the frame.
        width_px: of the frame.
    """
    total = np.zeros((height_px, width_px), np.float32)
    for weight in weights:
        if weight is not None:
            total += weight
    if (total > 1).any():
        divisor = np.maximum(total, np.float32(1))
        shares: list[Pixels | None] = []
        for weight in weights:
            share: Pixels | None = None if weight is None else (weight / divisor).astype(np.float32, copy=False)
            shares.append(share)
        weights = shares
    rest = np.clip(1 - total, 0, 1)
    rest[rest < _NEGLIGIBLE] = 0
    return tuple(weights), rest if rest.any() else None


def _read_map(path: Path, height_px: int, width_px: int, max_megapixels: float) -> Picture:
    return _of_size(path, _read_picture(path, max_megapixels), height_px, width_px)


def _read_picture(path: Path, max_megapixels: float) -> Picture:
    try:
        return read_picture(path, max_megapixels=max_megapixels)
    except UnreadablePictureError as error:
        raise UnreadablePictureError(f"its mask {path.name}: {error.reason}") from error


def _of_size(path: Path, picture: Picture, height_px: int, width_px: int) -> Picture:
    if (picture.height_px, picture.width_px) != (height_px, width_px):
        raise UnreadablePictureError(
            f"its mask {path.name} is {picture.width_px} x {picture.height_px} px, "
            f"but the picture {width_px} x {height_px}"
        )
    return picture


def _unit(picture: Picture) -> Pixels:
    values = picture.pixels[:, :, 0]
    largest = np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1
    unit: Pixels = np.clip(values.astype(np.float32) / largest, 0, 1)
    return unit
