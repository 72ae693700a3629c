"""Known motion of a scene, read from motion.json: a camera over a flat picture, and objects that move before it."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.frames.sequences.listing import list_frames
from stylegan_core.motion.camera import CameraMotion, MotionError, parse_matrices
from stylegan_core.motion.warp import Mask, Points, inside, sampling_grid

Layers = NDArray[np.int16]
"""(H, W): 0 where a frame shows the background, n the n-th object, MIXED where it shows more than one of them."""

MIXED = -1
_PURE = 0.98
_CACHED_MASKS = 64


@dataclass(frozen=True)
class MovingObject:
    """A flat object in front of the background.

    Attributes:
        name: of the object.
        motion: from each frame that shows it to the object's own picture.
        masks: path by frame number; each is a grey picture of the frame's size, how much of each pixel the object
            covers, without what hides it.
    """

    name: str
    motion: CameraMotion
    masks: Mapping[int, Path]

    def opacity(self, frame: int, size: tuple[int, int]) -> NDArray[np.float32]:
        """How much of each pixel the object covers, (H, W) in [0, 1]; zero in a frame without the object.

        Raises:
            MotionError: the mask is missing, damaged or of another size than ``size``.
        """
        if not self.motion.knows([frame]):
            return np.zeros(size, np.float32)
        if frame not in self.masks:
            raise MotionError(f"the object {self.name} moves in frame {frame}, but has no mask for it")
        mask = _read_mask(self.masks[frame])
        if mask.shape != size:
            height, width = mask.shape
            raise MotionError(
                f"{self.masks[frame]}: the mask has {width} x {height} px, the frame {size[1]} x {size[0]}"
            )
        return mask


@dataclass(frozen=True)
class SceneMotion:
    """What every frame of a shot shows.

    Attributes:
        camera: from each frame to the filmed background.
        objects: from the farthest to the nearest.
    """

    camera: CameraMotion
    objects: tuple[MovingObject, ...] = ()

    def knows(self, frames: Iterable[int]) -> bool:
        """Whether the camera is known in all ``frames``."""
        return self.camera.knows(frames)

    def layers(self, frame: int, size: tuple[int, int], margin_px: int = 0) -> Layers:
        """What each pixel of a frame shows.

        Args:
            frame: its number.
            size: height and width, px.
            margin_px: pixels so close to another layer count as mixed.
        Raises:
            MotionError: a mask cannot be used.
        """
        shown = np.zeros(size, np.int16)
        for index, item in enumerate(self.objects, start=1):
            opacity = item.opacity(frame, size)
            shown[opacity > 1 - _PURE] = MIXED
            shown[opacity >= _PURE] = index
        if margin_px and self.objects:
            from scipy.ndimage import maximum_filter, minimum_filter

            side = 2 * margin_px + 1
            shown[minimum_filter(shown, side) != maximum_filter(shown, side)] = MIXED
        return shown

    def correspond(
        self, source: int, target: int, size: tuple[int, int], margin_px: float = 0.0
    ) -> tuple[Points, Mask]:
        """Where frame ``target`` shows the points of frame ``source``.

        Args:
            source: number of a frame.
            target: number of a frame.
            size: height and width of both, px.
            margin_px: border of the target, and of each layer in it, that counts as not shown.
        Returns:
            (2, H, W) x and y in the target for each pixel of the source, px; and (H, W), where the target shows the
            same point. A pixel that shows more than one layer, or a point that the target hides, corresponds to none.
        Raises:
            KeyError: the camera of a frame is not known.
            MotionError: a mask cannot be used.
        """
        points = sampling_grid(self.camera.between(source, target), *size)
        shown = inside(points, size, margin_px)
        if not self.objects:
            return points, shown
        layers = self.layers(source, size)
        for index, item in enumerate(self.objects, start=1):
            own = layers == index
            if not own.any():
                continue
            if item.motion.knows([target]):
                moved = sampling_grid(item.motion.between(source, target), *size)
                points[:, own] = moved[:, own]
                shown[own] = inside(moved, size, margin_px)[own]
            else:
                shown[own] = False
        shown &= (layers != MIXED) & _shows(self.layers(target, size, int(np.ceil(margin_px))), points, layers)
        return points, shown


def load_motion(path: Path) -> SceneMotion:
    """Reads the motion of a shot, see docs/formats.md.

    ``{"frames": {"1": MATRIX, ...}, "objects": [{"name": NAME, "masks": FOLDER, "frames": {...}}, ...]}``: MATRIX is
    ``[[a, b, tx], [c, d, ty]]``, from the frame to the filmed picture, or to the object's own; FOLDER is relative to
    the file; objects are optional, the nearest is last.

    Raises:
        FileNotFoundError: there is no such file.
        MotionError: the JSON has another form, a matrix has no inverse, or a folder of masks cannot be listed.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        frames, objects = document["frames"], document.get("objects", [])
        return SceneMotion(
            CameraMotion(parse_matrices(frames, str(path))), tuple(_object(item, path) for item in objects)
        )
    except MotionError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MotionError(f'{path}: expected {{"frames": {{"1": [[a, b, tx], [c, d, ty]], ...}}}} ({error})') from error


def _object(document: dict[str, Any], path: Path) -> MovingObject:
    name, folder = str(document["name"]), path.parent / document["masks"]
    try:
        masks = {frame.number: frame.path for frame in list_frames(folder) if frame.number is not None}
    except (OSError, ValueError) as error:
        raise MotionError(f"{path}: the masks of the object {name} cannot be listed: {error}") from error
    return MovingObject(name, CameraMotion(parse_matrices(document["frames"], str(path))), masks)


@functools.lru_cache(maxsize=_CACHED_MASKS)
def _read_mask(path: Path) -> NDArray[np.float32]:
    try:
        pixels = read_picture(path).pixels[..., 0]
    except (OSError, UnreadablePictureError) as error:
        raise MotionError(f"{path}: the mask cannot be read: {error}") from error
    scale = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    mask: NDArray[np.float32] = np.clip(pixels.astype(np.float32) / np.float32(scale), 0, 1)
    mask.setflags(write=False)
    return mask


def _shows(shown: Layers, points: Points, wanted: Layers) -> Mask:
    """Whether all four pixels around each point show the wanted layer; points outside are moved to the border."""
    height, width = shown.shape
    left = np.clip(np.floor(points[0] + 1e-6), 0, width - 1).astype(np.int64)
    top = np.clip(np.floor(points[1] + 1e-6), 0, height - 1).astype(np.int64)
    right = np.clip(np.ceil(points[0] - 1e-6), 0, width - 1).astype(np.int64)
    bottom = np.clip(np.ceil(points[1] - 1e-6), 0, height - 1).astype(np.int64)
    shows: Mask = np.all([shown[y, x] == wanted for y in (top, bottom) for x in (left, right)], axis=0)
    return shows
