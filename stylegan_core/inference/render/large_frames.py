"""Finishes frames that are too large to be held as a whole: painted, carried over and put together band by band."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.inference.job.frame_settings import FrameSettings
from stylegan_core.inference.reading.decode import Decoded
from stylegan_core.inference.render.bands import ROWS_AT_ONCE, Band, rows_of
from stylegan_core.inference.render.encode import blend_back


def encode_in_bands(view: Decoded, bands: Iterable[Band], settings: FrameSettings, *, strength: float) -> Picture:
    """The picture that is written.

    Args:
        view: one view of a frame.
        bands: that cover it, from top to bottom.
        settings: of the job.
        strength: how much of the change is carried over.

    Raises:
        ValueError: an answer is not finite.
    """
    result: Picture | None = None
    for band in bands:
        for begin in range(band.begin, band.end, ROWS_AT_ONCE):
            end = min(band.end, begin + ROWS_AT_ONCE)
            inside = slice(begin - band.begin, end - band.begin)
            rows = replace(
                view,
                picture=rows_of(view.picture, begin, end),
                before_unit=band.before_unit[inside],
                mask_unit=None if view.mask_unit is None else view.mask_unit[begin:end],
            )
            carried = blend_back(rows, band.after_unit[inside], settings, strength=strength)
            if result is None:
                shape = (view.height_px, *carried.pixels.shape[1:])
                result = replace(carried, pixels=np.empty(shape, carried.pixels.dtype))
            result.pixels[begin:end] = carried.pixels
    assert result is not None
    return replace(result, other_views=view.picture.other_views)
