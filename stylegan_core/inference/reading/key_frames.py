"""Key frames of a job: plates as they are searched, and paintings in the working space, in bounded memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.colour.convert import to_working
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.inference.job.frame_settings import FrameSettings
from stylegan_core.inference.job.frame_task import FrameTask, GuideKey
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.network.translate import Pixels
from stylegan_core.inference.reading.colour import space_of
from stylegan_core.inference.reading.frame_reader import FrameReader
from stylegan_core.inference.reading.masks import read_mask
from stylegan_core.inference.reading.motion_picture import display_unit
from stylegan_core.inference.reading.refuse_changed import refuse_changed
from stylegan_core.motion.guide_map import searched_size
from stylegan_core.storage.file_state import FileState

_KEPT_BYTES = 512 << 20
"""Of key frames that are kept, in addition to ``_FEWEST``."""
_FEWEST = 6
"""Key frames of two frames that are decoded at the same time, and of a shot, mostly the same ones."""


@dataclass(frozen=True)
class KeyFrame:
    """A painted key frame.

    Attributes:
        size: height and width of the plate.
        plate_unit: (h, w, 3) display-encoded, at ``searched_size``.
        painting: (H, W, 3) uint16 in the working space, with alpha as fourth channel where parts are not painted.
        files: states of the painting, its mask and the plate when they were read.
    """

    size: tuple[int, int]
    plate_unit: Pixels
    painting: NDArray[np.uint16]
    files: dict[Path, FileState]

    @property
    def size_bytes(self) -> int:
        """Memory of the pixels."""
        return self.plate_unit.nbytes + self.painting.nbytes


class KeyFrameReader:
    """Reads key frames and keeps what the next frames need. Thread-safe."""

    def __init__(self, job: Job, reader: FrameReader) -> None:
        """Reads nothing yet.

        Args:
            job: whose frames they guide.
            reader: of its inputs.
        """
        self._job, self._reader = job, reader
        self._kept: OrderedDict[tuple[Path, str, int | None, int], Future[KeyFrame]] = OrderedDict()
        self._bytes, self._lock = 0, threading.Lock()

    def load(self, key: GuideKey, view: int) -> KeyFrame:
        """A key frame, seen through one eye; a painting or plate of one eye serves both.

        Raises:
            UnreadablePictureError: a file is damaged, changed while it was read, or has another size than the other.
            OSError: a file cannot be read.
        """
        name = (key.path, key.input, key.index, view)
        with self._lock:
            known = self._kept.get(name)
            if known is not None:
                self._kept.move_to_end(name)
            else:
                future: Future[KeyFrame] = Future()
                self._kept[name] = future
        if known is not None:
            return known.result()
        try:
            loaded = self._read(key, view)
            future.set_result(loaded)
        except BaseException as error:
            with self._lock:
                self._kept.pop(name, None)  # another attempt may succeed
            future.set_exception(error)
            raise
        with self._lock:
            self._bytes += loaded.size_bytes
            self._evict()
        return loaded

    def _read(self, key: GuideKey, view: int) -> KeyFrame:
        settings, job = self._job.settings, self._job
        task = FrameTask(input=key.input, output="", index=key.index)
        plate, plate_state = self._reader.read(task)
        state = FileState.of(key.path)
        painting = read_picture(key.path, max_megapixels=job.max_megapixels)
        refuse_changed(key.path, state)
        size = plate.height_px, plate.width_px
        refuse_other_size(painting, plate, key.path, key.number)
        files = {key.path: state, job.input_path(task): plate_state}
        codes = painting_codes(view_of(painting, view), settings, key.path)
        if key.mask_path is not None:
            files[key.mask_path] = FileState.of(key.mask_path)
            mask = read_mask(key.mask_path, *size, max_megapixels=job.max_megapixels)
            refuse_changed(key.mask_path, files[key.mask_path])
            codes = np.dstack([codes[..., :3], np.rint(mask * np.float32(65535)).astype(np.uint16)])
        plate_unit = display_unit(view_of(plate, view), settings, job.input_path(task), searched_size(*size))
        return KeyFrame(size, plate_unit, codes, files)

    def _evict(self) -> None:
        for name, future in list(self._kept.items()):
            if self._bytes <= _KEPT_BYTES or len(self._kept) <= _FEWEST:
                return
            if future.done() and future.exception() is None:
                del self._kept[name]
                self._bytes -= future.result().size_bytes


def refuse_other_size(painting: Picture, plate: Picture, path: Path, number: int) -> None:
    """Refuses a painting that does not have the size of its key frame.

    Args:
        painting: as it was read.
        plate: the key frame.
        path: of the painting.
        number: of the key frame.

    Raises:
        UnreadablePictureError: it has another size.
    """
    if (painting.height_px, painting.width_px) != (plate.height_px, plate.width_px):
        raise UnreadablePictureError(
            f"the painting {path.name} is {painting.width_px} x {painting.height_px} px, its frame {number} is "
            f"{plate.width_px} x {plate.height_px} px"
        )


def view_of(picture: Picture, view: int) -> Picture:
    """A picture through one eye; its only one if there is no other."""
    others = picture.other_views
    pixels = others[view - 1] if 0 < view <= len(others) else picture.pixels
    return replace(picture, pixels=pixels, other_views=())


def painting_codes(painting: Picture, settings: FrameSettings, path: Path) -> NDArray[np.uint16]:
    """A painting in the working space: (H, W, 3) from 0 to 65535; with a fourth channel where alpha is below 1.

    Raises:
        UnreadablePictureError: it lacks what the space needs.
    """
    space = space_of(painting, settings.model_copy(update={"source_space": settings.key_frames_space}), path)
    unit = to_working(
        painting, source_space=space.name, working_space=settings.working_space, ocio=settings.colour_config
    )
    if painting.has_alpha and (alpha := _alpha_unit(painting)).min() < 1:
        unit = np.concatenate([unit, alpha], axis=2)
    codes: NDArray[np.uint16] = np.rint(unit * np.float32(65535)).astype(np.uint16)
    return codes


def _alpha_unit(picture: Picture) -> Pixels:
    alpha = picture.pixels[..., -1:]
    scale = float(np.iinfo(alpha.dtype).max) if alpha.dtype.kind == "u" else 1.0
    unit: Pixels = np.clip(alpha.astype(np.float32) / np.float32(scale), 0.0, 1.0)
    return unit
