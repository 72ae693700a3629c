"""A small student that learns a teacher's answers.

After Hinton et al. 2015, Distilling the Knowledge in a Neural Network (arXiv 1503.02531), for translators without the
adversarial part of Li et al. 2020, GAN Compression (arXiv 2003.08936): the teacher's own pictures are the truth.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_core.metrics.psnr import psnr_db
from stylegan_core.metrics.swd import patch_swd
from stylegan_core.recipes.keyframe import Config, Recipe

MARGIN_PX = 8
"""Of a crop that is not compared: there the student sees less than the teacher did."""
_DECAY = 0.995


@dataclass(frozen=True)
class Student:
    """A student and how near it came, on pictures that it did not learn from.

    Attributes:
        recipe: its weights' moving average, in evaluation mode.
        config: its settings.
        steps: that it was trained for.
        psnr_db: of its answers to the teacher's.
        swd: distance of their surfaces, see ``patch_swd``.
        swd_unstylized: the same of the untouched pictures: what it would be had it learned nothing.
    """

    recipe: Recipe
    config: Config
    steps: int
    psnr_db: float
    swd: float
    swd_unstylized: float


def student_config(channels: int, blocks: int, *, half_resolution: bool = True, crop_px: int = 96) -> Config:
    """Settings of a student: ``keyframe``'s network without its mixing, on 2 x 2 px cells, which phones can afford.

    Raises:
        ValueError: a number is out of range.
    """
    return Config(
        channels=channels,
        blocks=blocks,
        half_resolution=half_resolution,
        mixing_taps=0,
        adversarial_weight=0.0,
        crop_px=crop_px,
    )


def distill(
    teacher: Callable[[Tensor], Tensor],
    pictures: Sequence[Tensor],
    held_out: Sequence[Tensor],
    config: Config,
    *,
    minutes: float,
    most_steps: int = 20_000,
    learning_rate: float = 2e-3,
    detail_weight: float = 1.0,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Student:
    """Trains a student on crops of what a teacher makes of whole pictures.

    Args:
        teacher: (1, 3, H, W) in [-1, 1] to the same.
        pictures: to learn from, (1, 3, H, W) in [-1, 1], sides of 32 px or more.
        held_out: to judge by, other ones.
        config: from ``student_config``.
        minutes: of training; its rate falls over them, so that two runs of one length differ by what a step takes.
        most_steps: where that ends sooner.
        learning_rate: at the start.
        detail_weight: of the distance between neighbouring pixels' differences, beside that between pixels.
        seed: of weights and crops.
        progress: called with the share that is done.
    """
    with torch.no_grad():
        answers = [teacher(picture).float() for picture in pictures]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        recipe = Recipe(config)
    network = recipe.networks["generator"].to(memory_format=torch.channels_last)
    average = copy.deepcopy(recipe).eval().requires_grad_(False)
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate, betas=(0.9, 0.99))
    generator, began_s, step, done = np.random.default_rng(seed), time.monotonic(), 0, 0.0
    while done < 1:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * 0.5 * (1 + np.cos(np.pi * done))
        content, expected = _crops(pictures, answers, config.crop_px, config.batch_size, generator)
        loss = _distance(network(content), expected, detail_weight)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        step += 1
        with torch.no_grad():
            keep = min(_DECAY, step / (step + 10))
            for mean, now in zip(average.networks.parameters(), recipe.networks.parameters(), strict=True):
                mean.lerp_(now, 1 - keep)
        done = max(step / most_steps, (time.monotonic() - began_s) / (60 * minutes))
        if progress is not None:
            progress(min(done, 1.0))
    return _judged(average, config, step, teacher, held_out)


def _crops(
    pictures: Sequence[Tensor], answers: Sequence[Tensor], side_px: int, count: int, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Aligned parts of random pictures, mirrored half the time, (N, 3, side, side) each."""
    contents, expected = [], []
    for _ in range(count):
        which = int(generator.integers(len(pictures)))
        content, answer = pictures[which], answers[which]
        height, width = content.shape[-2:]
        if min(height, width) < side_px:
            missing = (0, max(0, side_px - width), 0, max(0, side_px - height))
            content, answer = (F.pad(each, missing, mode="replicate") for each in (content, answer))
            height, width = content.shape[-2:]
        top, left = (int(generator.integers(side - side_px + 1)) for side in (height, width))
        window = (..., slice(top, top + side_px), slice(left, left + side_px))
        content, answer = content[window], answer[window]
        if generator.random() < 0.5:
            content, answer = content.flip(-1), answer.flip(-1)
        contents.append(content)
        expected.append(answer)
    return torch.cat(contents), torch.cat(expected)


def _distance(made: Tensor, expected: Tensor, detail_weight: float) -> Tensor:
    """L1 of pixels and of their differences to the next, away from the border."""
    inside = (..., slice(MARGIN_PX, -MARGIN_PX), slice(MARGIN_PX, -MARGIN_PX))
    difference = made[inside] - expected[inside]
    across, down = difference.diff(dim=-1).abs().mean(), difference.diff(dim=-2).abs().mean()
    return difference.abs().mean() + detail_weight * (across + down)


def _judged(
    recipe: Recipe, config: Config, steps: int, teacher: Callable[[Tensor], Tensor], held_out: Sequence[Tensor]
) -> Student:
    with torch.inference_mode():
        made = [_unit(recipe.networks["generator"](picture)) for picture in held_out]
        expected = [_unit(teacher(picture)) for picture in held_out]
    before = [_unit(picture) for picture in held_out]
    return Student(
        recipe,
        config,
        steps,
        psnr_db(made, expected),
        patch_swd(made, expected),
        patch_swd(before, expected),
    )


def _unit(signed: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """(1, 3, H, W) in [-1, 1] to (H, W, 3) in [0, 1]."""
    return np.clip((signed[0].permute(1, 2, 0).float().numpy() + 1) / 2, 0, 1)
