"""Input of a network: a frame, filtered in time or as it is, with a guide and its confidence; whole or in rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stylegan_core.inference.network.measure_norm_statistics import Rows
from stylegan_core.inference.network.translate import Pixels
from stylegan_core.inference.reading.decoded_frame import DecodedFrame, FrameRows
from stylegan_core.motion.guide import NO_GUIDE_UNIT

_NO_GUIDE = (NO_GUIDE_UNIT, NO_GUIDE_UNIT, NO_GUIDE_UNIT, 0.0)


def network_input(frame: DecodedFrame, *, guided: bool) -> Pixels:
    """(H, W, 3) a frame in the working space; (H, W, 7) with its guide and confidence for a guided network."""
    picture = frame.before_unit if frame.filtered is None else frame.filtered.rows(0, frame.height_px)
    return _with_guide(picture, frame.guide, 0) if guided else picture


@dataclass(frozen=True)
class FilteredRows:
    """Rows of a large frame that is filtered in time.

    Attributes:
        filtered: of the frame.
        height_px: rows.
        width_px: columns.
    """

    filtered: FrameRows
    height_px: int
    width_px: int

    def unit(self, first: int, last: int) -> Pixels:
        """(last - first, W, 3) float32."""
        return self.filtered.rows(first, last)


@dataclass(frozen=True)
class GuidedRows:
    """Rows of a large frame with those of its guide.

    Attributes:
        picture: of the frame.
        guide: of the frame; None has none.
    """

    picture: Rows
    guide: FrameRows | None

    @property
    def height_px(self) -> int:
        """Rows."""
        return self.picture.height_px

    @property
    def width_px(self) -> int:
        """Columns."""
        return self.picture.width_px

    def unit(self, first: int, last: int) -> Pixels:
        """(last - first, W, 7) float32."""
        return _with_guide(self.picture.unit(first, last), self.guide, first)


def _with_guide(picture: Pixels, guide: FrameRows | None, first: int) -> Pixels:
    height, width = picture.shape[:2]
    whole = np.empty((height, width, 7), np.float32)
    whole[..., :3] = picture
    whole[..., 3:] = _NO_GUIDE if guide is None else guide.rows(first, first + height)
    return whole
