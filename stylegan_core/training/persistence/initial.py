"""Initial weights from an earlier model (``train.common.init_from``)."""

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

    Networks without weights in it, such as a discriminator, stay randomly initialized, with a warning.

    Raises:
        ModelError: a network that translates is missing or incomplete, or sizes differ; the recipe is unchanged.
    """
    own = prefixed_state(dict(recipe.networks.items()))
    missing = [key for key in own if key not in weights and key.split(".")[0] in recipe.inference_networks]
    if missing:
        raise ModelError(f"the model in train.common.init_from is of another kind: it has no {missing[0]}")
    wrong = [key for key, tensor in own.items() if key in weights and weights[key].shape != tensor.shape]
    if wrong:
        key = wrong[0]
        raise ModelError(
            f"the model in train.common.init_from is of another size: its {key} is {tuple(weights[key].shape)}, "
            f"the settings require {tuple(own[key].shape)}"
        )
    fresh = sorted({key.split(".")[0] for key in own if key not in weights})
    if fresh:
        log.warning("the initial model has no weights of %s: they are initialized randomly", ", ".join(fresh))
    with torch.no_grad():
        for key, tensor in own.items():
            if key in weights:
                tensor.copy_(weights[key])
