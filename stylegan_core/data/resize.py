"""Scales pictures down before they are stored."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from stylegan_core.data.choices import Filter
from stylegan_core.frames.colour.convert import from_light, to_light

_Unit = npt.NDArray[np.float32]


def shrink(unit: _Unit, shorter_px: int, how: Filter, *, space: str, ocio: str | None = None) -> _Unit:
    """Scales a picture down to a shorter side of ``shorter_px``; one that is no larger is returned unchanged.

    Args:
        unit: (H, W, C) float32.
        shorter_px: of the result.
        how: "area" averages light: fine detail keeps its brightness. "nearest" adds no new colours, for label maps.
        space: working space of the samples, which are averaged as light; "linear_rec709" for numbers that are linear.
        ocio: the config that defines it, see ``load_config``.
    Returns:
        (h, w, C) float32, encoded as ``unit`` is.
    """
    height, width = unit.shape[:2]
    scale = shorter_px / min(height, width)
    if scale >= 1.0:
        return unit
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if how == "nearest":
        picked = cv2.resize(unit, size, interpolation=cv2.INTER_NEAREST_EXACT)
        return np.asarray(picked, np.float32).reshape(size[1], size[0], -1)
    light = to_light(unit, space, ocio)
    averaged = np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_AREA), np.float32)
    averaged = averaged.reshape(size[1], size[0], -1)
    return from_light(averaged, space, ocio)
