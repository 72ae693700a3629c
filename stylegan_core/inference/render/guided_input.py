"""Input of a guided network: a frame with its guide and the guide's confidence, whole or in rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stylegan_core.inference.network.measure_norm_statistics import Rows
from stylegan_core.inference.network.translate import Pixels
from stylegan_core.inference.reading.decoded_frame import DecodedFrame, FrameGuide
from stylegan_core.motion.guide import NO_GUIDE_UNIT

_NO_GUIDE = (NO_GUIDE_UNIT, NO_GUIDE_UNIT, NO_GUIDE_UNIT, 0.0)


def network_input(frame: DecodedFrame, *, guided: bool) -> Pixels:
    """(H, W, 3) a frame in the working space; (H, W, 7) with its guide and confidence for a guided network."""
    return _with_guide(frame.before_unit, frame.guide, 0) if guided else frame.before_unit


@dataclass(frozen=True)
class GuidedRows:
    """Rows of a large frame with those of its guide.

    Attributes:
        picture: of the frame.
        guide: of the frame; None has none.
    """

    picture: Rows
    guide: FrameGuide | None

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


def _with_guide(picture: Pixels, guide: FrameGuide | None, first: int) -> Pixels:
    height, width = picture.shape[:2]
    whole = np.empty((height, width, 7), np.float32)
    whole[..., :3] = picture
    whole[..., 3:] = _NO_GUIDE if guide is None else guide.rows(first, first + height)
    return whole
