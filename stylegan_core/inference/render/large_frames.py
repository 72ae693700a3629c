"""Finishes frames that are too large to be held as a whole: blended back and encoded band by band."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.inference.job.frame_settings import FrameSettings
from stylegan_core.inference.reading.decoded_frame import DecodedFrame
from stylegan_core.inference.reading.picture_rows import ROWS_AT_ONCE, rows_of
from stylegan_core.inference.render.bands import Band
from stylegan_core.inference.render.encode import blend_back


def encode_in_bands(frame: DecodedFrame, bands: Iterable[Band], settings: FrameSettings, *, strength: float) -> Picture:
    """The picture that is written.

    Args:
        frame: one view of a frame.
        bands: that cover it, from top to bottom.
        settings: of the job.
        strength: how much of the network's change is blended back.

    Raises:
        ValueError: an output of the network is not finite.
    """
    result: Picture | None = None
    for band in bands:
        for begin in range(band.begin, band.end, ROWS_AT_ONCE):
            end = min(band.end, begin + ROWS_AT_ONCE)
            inside = slice(begin - band.begin, end - band.begin)
            rows = replace(
                frame,
                picture=rows_of(frame.picture, begin, end),
                before_unit=band.before_unit[inside],
                mask_unit=None if frame.mask_unit is None else frame.mask_unit[begin:end],
            )
            blended = blend_back(rows, band.after_unit[inside], settings, strength=strength)
            if result is None:
                shape = (frame.height_px, *blended.pixels.shape[1:])
                result = replace(blended, pixels=np.empty(shape, blended.pixels.dtype))
            result.pixels[begin:end] = blended.pixels
    assert result is not None
    return replace(result, other_views=frame.picture.other_views)
