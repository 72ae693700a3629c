"""Settings that make every recipe small, for tests over all recipes."""

from __future__ import annotations

from typing import Any

from stylegan_core.recipes.base import RecipeConfig

# Where a recipe has such a setting it is made small; a new recipe with the same names of settings needs nothing here.
_TINY: dict[str, Any] = {
    "crop_px": 32,
    "batch_size": 2,
    "channels": 4,
    "blocks": 1,
    "discriminator_channels": 4,
    "discriminator_layers": 1,
    "projected_channels": 8,
    "projection_width": 8,
    "nce_patches": 16,
    "most_channels": 8,
    "texture_width": 8,
    "patch_px": 16,
}


def tiny_sizes(config: type[RecipeConfig]) -> dict[str, Any]:
    """Settings that make a recipe of this ``Config`` small."""
    return {name: value for name, value in _TINY.items() if name in config.model_fields}
