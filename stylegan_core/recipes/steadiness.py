"""Temporally stable translations: anti-aliasing and consistency losses, settings that every translation recipe has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stylegan_core.losses.consistency import Change, draw_noise, draw_shift, draw_warp, inconsistency
from stylegan_core.recipes.adversary import AdversarialConfig
from stylegan_core.recipes.base import BeforeItExisted, Losses


class SteadinessConfig(AdversarialConfig):
    """Settings of a recipe that keep its translations of neighbouring frames alike."""

    anti_aliased: Annotated[bool, BeforeItExisted(False)] = Field(
        True,
        description="low-pass before downsamplings, bilinear upsamplings: a shift of the input shifts the result",
    )

    noise_consistency_weight: float = Field(
        0.0, ge=0.0, description="weight of the result's change when noise is added to its input"
    )
    shift_consistency_weight: float = Field(
        0.0,
        ge=0.0,
        description="weight of the difference between shifting before and after translation, by whole pixels",
    )
    warp_consistency_weight: float = Field(
        0.0, ge=0.0, description="weight of the difference between warping and brightening before and after translation"
    )
    noise_unit: float = Field(
        0.03,
        gt=0.0,
        le=0.5,
        description="largest standard deviation of the noise, as a share of the range from black to white",
    )
    consistency_every_steps: int = Field(4, ge=1, description="lazy: each consistency term times n, every n steps")

    def steadiness(
        self, translate: Callable[[Tensor], Tensor], content: Tensor, step: int, made: Tensor | None = None
    ) -> Losses:
        """The weighted consistency terms that are due in this step; with all weights 0, no random number is drawn.

        The terms alternate between steps, so that each step has as few of them as possible.

        Args:
            translate: (N, 3, H, W) in [-1, 1] to the same, with gradients.
            content: (N, 3, H, W) in [-1, 1].
            step: of the training.
            made: the result of ``translate`` for ``content``; None: it is computed.
        """
        terms: list[tuple[str, float, Callable[[Tensor], Change]]] = [
            ("noise", self.noise_consistency_weight, lambda pictures: draw_noise(pictures, self.noise_unit)),
            ("shift", self.shift_consistency_weight, draw_shift),
            ("warp", self.warp_consistency_weight, draw_warp),
        ]
        losses: Losses = {}
        every = self.consistency_every_steps
        for turn, (name, weight, draw) in enumerate(terms):
            if weight == 0 or (step - turn) % every != 0:
                continue
            if made is None:
                with torch.no_grad():
                    made = translate(content)
            change = draw(content)
            changed = translate(change.of_input(content))
            losses[f"{name}_consistency"] = weight * every * inconsistency(changed, made, change)
        return losses
