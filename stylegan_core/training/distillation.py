"""Distillation: a small student network learns the outputs of a teacher.

After Hinton et al. 2015, Distilling the Knowledge in a Neural Network (arXiv 1503.02531), for translators without the
adversarial part of Li et al. 2020, GAN Compression (arXiv 2003.08936): the teacher's outputs are the ground truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_core.data.batch import Batch
from stylegan_core.metrics.psnr import psnr_db
from stylegan_core.metrics.swd import patch_swd
from stylegan_core.recipes.base import Fakes, Losses
from stylegan_core.recipes.keyframe import Config, Recipe
from stylegan_core.training.ema import MovingAverage
from stylegan_core.training.hardware import make_fabric
from stylegan_core.training.optimizers import PhaseOptimizers
from stylegan_core.training.step import Stepper

MARGIN_PX = 8
"""Border of a crop that the loss leaves out: the student sees less context there than the teacher did."""

Teacher = Callable[[Tensor], Tensor]
"""(1, 3, H, W) in [-1, 1] to the same."""


@dataclass(frozen=True)
class Student:
    """A trained student and its distance to the teacher on held-out pictures.

    Attributes:
        recipe: with the moving average of the weights, in evaluation mode.
        config: its settings.
        psnr_db: of its outputs to the teacher's.
        swd: patch SWD between its outputs and the teacher's, see ``patch_swd``.
        swd_unstylized: the same for the untouched pictures, the distance of a student that learned nothing.
    """

    recipe: Recipe
    config: Config
    psnr_db: float
    swd: float
    swd_unstylized: float


class DistillationRecipe(Recipe):
    """``keyframe``'s generator under a loss to the teacher's output, ``Batch.style``."""

    def generator_losses(self, batch: Batch, step: int) -> tuple[Losses, Fakes]:  # noqa: ARG002  # the contract's
        """The distances to the teacher's output.

        Raises:
            ValueError: the batch has no teacher's output.
        """
        if batch.style is None:
            raise ValueError("distillation needs the teacher's outputs: the batch has no style")
        return _distances(self.networks["generator"](batch.content), batch.style), {}


def student_config(
    channels: int, blocks: int, *, steps: int, half_resolution: bool = True, crop_px: int = 96
) -> Config:
    """Settings of a student: ``keyframe``'s network without its mixing, on 2 x 2 px cells, which phones can afford.

    Args:
        channels: of the first layer.
        blocks: residual blocks.
        steps: of training; the learning rate falls to 0 over them.
        half_resolution: whether the network works on 2 x 2 px cells.
        crop_px: side of the training crops.
    Raises:
        ValueError: a number is out of range.
    """
    return Config(
        channels=channels,
        blocks=blocks,
        half_resolution=half_resolution,
        guide=False,
        mixing_taps=0,
        adversarial_weight=0.0,
        crop_px=crop_px,
        budget_steps=steps,
        generator_lr=2e-3,
        beta1=0.9,
        beta2=0.99,
        lr_schedule="cosine",
        lr_decay_start_step=0,
        lr_decay_end_step=steps,
        ema_decay=0.995,
    )


def distill(
    teacher: Teacher,
    pictures: Sequence[Tensor],
    held_out: Sequence[Tensor],
    config: Config,
    *,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Student:
    """Trains a student on crops of pictures and of the teacher's outputs for them, on the CPU in fp32.

    Args:
        teacher: its outputs are computed once, from whole pictures.
        pictures: to learn from, (1, 3, H, W) in [-1, 1], sides of 32 px or more.
        held_out: other ones, to measure on.
        config: from ``student_config``.
        seed: of weights and crops.
        progress: called after each step with the share of the steps that is done.
    """
    with torch.no_grad():
        outputs = [teacher(picture).float() for picture in pictures]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        recipe = DistillationRecipe(config)
    recipe.to(memory_format=torch.channels_last).train()
    average = MovingAverage({"generator": recipe.networks["generator"]}, config.ema_decay)
    fabric = make_fabric("cpu", 1, "fp32")
    stepper = Stepper(fabric, recipe, PhaseOptimizers(fabric, recipe.networks, fused=True), average, config)
    generator = np.random.default_rng(seed)
    for step in range(config.budget_steps):
        stepper.step(step, lambda: _crops(pictures, outputs, config.crop_px, config.batch_size, generator))
        if progress is not None:
            progress((step + 1) / config.budget_steps)
    recipe.networks.load_state_dict(average.state)
    return _measured(recipe.eval().requires_grad_(False), config, teacher, held_out)


def _crops(
    pictures: Sequence[Tensor], outputs: Sequence[Tensor], side_px: int, count: int, generator: np.random.Generator
) -> Batch:
    """Aligned crops of random pictures and of their outputs, mirrored half the time, (N, 3, side, side) each."""
    contents, expected = [], []
    for _ in range(count):
        which = int(generator.integers(len(pictures)))
        content, output = pictures[which], outputs[which]
        height, width = content.shape[-2:]
        if min(height, width) < side_px:
            missing = (0, max(0, side_px - width), 0, max(0, side_px - height))
            content, output = (F.pad(each, missing, mode="replicate") for each in (content, output))
            height, width = content.shape[-2:]
        top, left = (int(generator.integers(side - side_px + 1)) for side in (height, width))
        window = (..., slice(top, top + side_px), slice(left, left + side_px))
        content, output = content[window], output[window]
        if generator.random() < 0.5:
            content, output = content.flip(-1), output.flip(-1)
        contents.append(content)
        expected.append(output)
    return Batch(content=torch.cat(contents), style=torch.cat(expected))


def _distances(made: Tensor, expected: Tensor) -> Losses:
    """L1 between pixels, and between their differences to the next pixel, away from the border."""
    inside = (..., slice(MARGIN_PX, -MARGIN_PX), slice(MARGIN_PX, -MARGIN_PX))
    difference = made[inside] - expected[inside]
    across, down = difference.diff(dim=-1).abs().mean(), difference.diff(dim=-2).abs().mean()
    return {"l1": difference.abs().mean(), "detail": across + down}


def _measured(recipe: Recipe, config: Config, teacher: Teacher, held_out: Sequence[Tensor]) -> Student:
    with torch.inference_mode():
        made = [_unit(recipe.networks["generator"](picture)) for picture in held_out]
        expected = [_unit(teacher(picture)) for picture in held_out]
    unstylized = [_unit(picture) for picture in held_out]
    return Student(
        recipe,
        config,
        psnr_db(made, expected),
        patch_swd(made, expected),
        patch_swd(unstylized, expected),
    )


def _unit(signed: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """(1, 3, H, W) in [-1, 1] to (H, W, 3) in [0, 1]."""
    return np.clip((signed[0].permute(1, 2, 0).float().numpy() + 1) / 2, 0, 1)
