"""Weights of an earlier model as the start of a training (``train.common.init_from``)."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import torch
from torch import Tensor

from stylegan_core.recipes.base import BaseRecipe
from stylegan_core.recipes.model import ModelError
from stylegan_core.training.ema import prefixed_state

log = logging.getLogger(__name__)


def load_initial(recipe: BaseRecipe, weights: Mapping[str, Tensor]) -> None:
    """Copies ``weights`` ("<network>.<parameter>") into the recipe's networks.

    Networks that the weights lack, a discriminator say, keep their fresh start; that is logged.

    Raises:
        ModelError: a network that translates is missing or incomplete, or sizes differ; the recipe is unchanged.
    """
    own = prefixed_state(dict(recipe.networks.items()))
    missing = [key for key in own if key not in weights and key.split(".")[0] in recipe.inference_networks]
    if missing:
        raise ModelError(f"train.common.init_from names a model of another kind: it has no {missing[0]}")
    wrong = [key for key, tensor in own.items() if key in weights and weights[key].shape != tensor.shape]
    if wrong:
        key = wrong[0]
        raise ModelError(
            f"train.common.init_from names a model of another size: its {key} is {tuple(weights[key].shape)}, "
            f"the settings ask for {tuple(own[key].shape)}"
        )
    fresh = sorted({key.split(".")[0] for key in own if key not in weights})
    if fresh:
        log.warning("the initial model lacks weights of %s: they start fresh", ", ".join(fresh))
    with torch.no_grad():
        for key, tensor in own.items():
            if key in weights:
                tensor.copy_(weights[key])
