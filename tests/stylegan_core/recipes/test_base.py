"""Settings that all recipes share, and crops that pass through the networks that they are given."""

from __future__ import annotations

import itertools

import pytest
import torch
from pydantic import ValidationError

from stylegan_core.data.batch import Batch
from stylegan_core.recipes import config_class, recipe_class
from stylegan_core.recipes.base import RecipeConfig

SMALL = {"channels": 4, "blocks": 1, "discriminator_channels": 4}


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_decay_must_end_after_it_starts(schedule: str) -> None:
    with pytest.raises(ValidationError, match="lr_decay_end_step"):
        RecipeConfig(lr_schedule=schedule, lr_decay_start_step=2000, lr_decay_end_step=2000)
    RecipeConfig(lr_schedule=schedule, lr_decay_start_step=1999, lr_decay_end_step=2000)
    RecipeConfig(lr_schedule="constant", lr_decay_start_step=2000, lr_decay_end_step=2000)


@pytest.mark.parametrize("recipe", ["keyframe", "cut"])
def test_crops_that_are_accepted_can_be_trained_on(recipe: str) -> None:
    refused = 0
    for downsamplings, layers, crop_px in itertools.product((0, 3, 4), (1, 3, 5), (16, 18, 34, 96)):
        settings = {"downsamplings": downsamplings, "discriminator_layers": layers, "crop_px": crop_px, **SMALL}
        try:
            config = config_class(recipe)(**settings)
        except ValidationError as error:
            assert "crop_px" in str(error)  # noqa: PT017  # some are accepted: counted below
            refused += 1
            continue
        made = recipe_class(recipe)(config)
        batch = Batch(torch.zeros(1, 3, crop_px, crop_px), torch.zeros(1, 3, crop_px, crop_px))
        _, fakes = made.generator_losses(batch, 0)
        made.discriminator_losses(batch, fakes, 0)
    assert 0 < refused < 36


def test_a_stem_has_a_centre_and_fits() -> None:
    config = config_class("keyframe")
    with pytest.raises(ValidationError, match="stem_px must be odd"):
        config(stem_px=6)
    with pytest.raises(ValidationError, match="too wide"):
        config(stem_px=33, crop_px=16)
    config(stem_px=31, crop_px=16)


def test_half_resolution_and_no_discriminator_change_what_fits() -> None:
    config = config_class("keyframe")
    with pytest.raises(ValidationError, match="require 32"):
        config(half_resolution=True, mixing_taps=0, downsamplings=3, crop_px=16)
    with pytest.raises(ValidationError, match="require 96"):
        config(discriminator_layers=5)
    config(discriminator_layers=5, adversarial_weight=0.0)


def test_a_budget_in_images_counts_the_crops_of_all_devices() -> None:
    assert RecipeConfig(budget_steps=7).total_steps(4) == 7
    images = RecipeConfig(budget_steps=7, budget_images=100, batch_size=8)
    assert [images.total_steps(devices) for devices in (1, 2, 13)] == [13, 7, 1]
