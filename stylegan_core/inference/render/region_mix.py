"""Mixes regions: how much of which model's change, or of which picture, each pixel of a frame gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stylegan_core.inference.network.translate import Pixels
from stylegan_core.inference.reading.decoded_frame import DecodedFrame


@dataclass(frozen=True)
class Share:
    """What changes a region.

    Attributes:
        model: index in the ``ModelBank``; None: a picture replaces the region.
        strength: how much of the change is applied.
    """

    model: int | None
    strength: float


class RegionMix:
    """Weighs the changes in the regions of a job's frames."""

    def __init__(self, regions: Sequence[Share], outside: Share | None) -> None:
        """Takes what holds for all frames.

        Args:
            regions: of the job, in order.
            outside: what changes the rest of the frame; None leaves the source.
        """
        self._regions, self._outside = regions, outside

    def amount(self, frame: DecodedFrame, model: int) -> Pixels | None:
        """(H, W) how much of a model's change each pixel gets; None if no pixel gets any."""
        assert frame.regions is not None
        shares = [*zip(frame.regions.weights, self._regions, strict=True)]
        if self._outside is not None:
            shares.append((frame.regions.rest, self._outside))
        amount: Pixels | None = None
        for weight, share in shares:
            if share.model == model and weight is not None and share.strength > 0:
                part = weight * np.float32(share.strength)
                amount = part if amount is None else amount + part
        return amount

    def with_backdrops(self, frame: DecodedFrame) -> Pixels:
        """(H, W, 3) a copy of the source in the working space with the pictures that replace regions."""
        assert frame.regions is not None
        result = frame.before_unit.copy()
        for weight, picture, share in zip(frame.regions.weights, frame.regions.pictures, self._regions, strict=True):
            if weight is not None and picture is not None:
                result += (weight * np.float32(share.strength))[:, :, None] * (picture - frame.before_unit)
        return result
