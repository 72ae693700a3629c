"""Rolling guidance: a picture without its fine texture, whose large edges stay where they are.

Zhang, Shen, Xu and Jia 2014, Rolling Guidance Filter (ECCV 2014). A low-pass removes what is small; then the picture
is filtered again and again with the last result as guide, which brings the edges of large shapes back but not the
texture between them. The joint filter is the guided filter of He, Sun and Tang 2013, Guided Image Filtering
(doi 10.1109/TPAMI.2012.213), each channel guided by itself.

A network that copies what it sees keeps the photograph's leaves and stones; one that does not see them has to paint.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

_ROUNDS = 3
_LOW_PASSES = 2
_EDGE_VARIANCE = 0.01
"""In [-1, 1]: parts of a guide that vary less, about 0.05 of the range from black to white, are smoothed."""


class RollingGuidance(nn.Module):
    """(N, 3, H, W) in [-1, 1] to the same size, fp32, without what is smaller than a few pixels; has no gradient.

    Args:
        radius_px: of the windows, a side; what is narrower than about twice as much disappears.
    """

    def __init__(self, radius_px: int) -> None:
        super().__init__()
        self._radius_px = radius_px

    def forward(self, picture: Tensor) -> Tensor:
        """The picture without its texture."""
        picture = picture.detach().float()
        guide = picture
        for _ in range(_LOW_PASSES):
            guide = self._mean(guide)
        for _ in range(_ROUNDS):
            guide = self._guided(picture, guide)
        return guide

    def _guided(self, picture: Tensor, guide: Tensor) -> Tensor:
        """The mean of all straight lines from guide to picture that fit the windows around a pixel."""
        of_guide, of_picture = self._mean(guide), self._mean(picture)
        covariance = self._mean(guide * picture) - of_guide * of_picture
        variance = self._mean(guide * guide) - of_guide * of_guide
        slope = covariance / (variance.clamp(min=0.0) + _EDGE_VARIANCE)
        return self._mean(slope) * guide + self._mean(of_picture - slope * of_guide)

    def _mean(self, values: Tensor) -> Tensor:
        """Of the window around each pixel; the edge is replicated beyond the border."""
        window_px = 2 * self._radius_px + 1
        padded = F.pad(values, (self._radius_px,) * 4, mode="replicate")
        return F.avg_pool2d(F.avg_pool2d(padded, (window_px, 1), stride=1), (1, window_px), stride=1)
