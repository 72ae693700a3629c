"""Weak supervision of unpaired recipes: a few known pairs join the objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pydantic import Field
from torch import Tensor

from stylegan_core.data.batch import Batch
from stylegan_core.losses.reconstruction import masked_l1
from stylegan_core.recipes.base import Losses, Needs
from stylegan_core.recipes.translator import TranslatorConfig


class WeakSupervisionConfig(TranslatorConfig):
    """Settings of an unpaired recipe that can also learn from known pairs."""

    known_fraction: float = Field(0.0, ge=0.0, le=1.0, description="share of known pairs, for weak supervision; 0: off")
    supervision_lambda: float = Field(
        0.02,
        ge=0.0,
        le=1.0,
        description="share of the unpaired objective; the rest is the distance to known paintings",
    )

    def supervised(self, needs: Needs) -> Needs:
        """``needs`` with the share of known pairs of these settings."""
        return replace(needs, known_fraction=self.known_fraction)

    def mixed_objective(self, losses: Losses, distance: Tensor | None) -> Losses:
        """``losses`` times lambda, and ``distance`` times 1 - lambda; ``losses`` unchanged without known pairs.

        Args:
            losses: the terms of the unpaired objective.
            distance: of the known pairs, a scalar, see ``known_distance``.
        """
        if distance is None:
            return losses
        share = self.supervision_lambda
        return {name: share * loss for name, loss in losses.items()} | {"supervised": (1.0 - share) * distance}


def known_distance(
    batch: Batch, forward: Callable[[Tensor], Tensor], backward: Callable[[Tensor], Tensor] | None = None
) -> Tensor | None:
    """L1 between the translations of known content and the known style, in both directions if there are two.

    Args:
        batch: its known pairs, if any.
        forward: content to style.
        backward: style to content.
    Returns:
        A scalar, or None.
    """
    content, style = batch.known_content, batch.known_style
    if content is None or style is None:
        return None
    distance = masked_l1(forward(content), style)
    return distance if backward is None else distance + masked_l1(backward(style), content)
