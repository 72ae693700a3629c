"""Luminance transfer: the source's colours with the luminance of the network's output (``--keep-source-colour``)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stylegan_core.frames.colour.convert import REC709_LUMA, from_light, to_light
from stylegan_core.frames.profiles.ocio import VIEW

Unit = NDArray[np.float32]

_NOISE_FLOOR_LINEAR = np.float32(0.001)
"""Below this luminance the source's colour is sensor noise and fades to grey when it is lightened."""


def keep_source_colour(before_unit: Unit, after_unit: Unit, *, working_space: str, ocio: str | None = None) -> Unit:
    """Gives the source the luminance of the network's output; chromaticity is unchanged, as under another light.

    Sums of luma and old colour differences (Y'CbCr, Oklab) were tried, too: darkened pictures turn garish, because a
    dark pixel keeps the colourfulness of a bright one. Colours that a display space cannot hold are mixed with grey of
    the same luminance instead of being clipped to another hue.

    Args:
        before_unit: (H, W, 3), the source in the working space.
        after_unit: (H, W, 3), the network's output; may exceed [0, 1].
        working_space: of both, see ``to_working``.
        ocio: the config, see ``load_config``.
    Returns:
        (H, W, 3) float32 in the working space; exactly the source where the network changed nothing.
    """
    before, after = (to_light(unit, working_space, ocio) for unit in (before_unit, after_unit))
    luminance = np.maximum(before @ REC709_LUMA, 0)[..., None]
    target = np.maximum(after @ REC709_LUMA, 0)[..., None]
    coloured = (before + _NOISE_FLOOR_LINEAR) * (target / (luminance + _NOISE_FLOOR_LINEAR))
    if working_space == "srgb" or working_space.startswith(VIEW):
        coloured = _faded_into_range(coloured, np.minimum(target, 1))
    result = from_light(coloured, working_space, ocio)
    unchanged = (after_unit == before_unit).all(axis=-1, keepdims=True)
    kept: Unit = np.where(unchanged, before_unit, result)
    return kept


def _faded_into_range(rgb_linear: Unit, grey_linear: Unit) -> Unit:
    """Mixes each colour with as much grey as brings it into [0, 1]."""
    distance = rgb_linear - grey_linear
    room = np.where(distance > 0, 1 - grey_linear, grey_linear)
    needed = np.abs(distance)
    share = np.divide(room, needed, out=np.ones_like(needed), where=needed > room).min(axis=-1, keepdims=True)
    distance *= share
    distance += grey_linear
    return distance
