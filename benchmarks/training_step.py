"""Seconds of one training step: the trainer's against a plain fp32 loop over the same networks, losses and crops.

Both run in this process, in turns of a few steps, so that a busy machine slows both; the ratio is the median of turns.

    python benchmarks/training_step.py [--recipe keyframe] [--set crop_px=64 ...] [--precision auto] [--threads N]

Prints one line of JSON; ``ratio`` is plain over ours, above 1 is faster than plain.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict

import torch

from stylegan_core.config import parse_params
from stylegan_core.data.batch import Batch
from stylegan_core.recipes import recipe_class
from stylegan_core.recipes.base import RecipeConfig
from stylegan_core.training.ema import MovingAverage
from stylegan_core.training.hardware import (
    describe_processor,
    make_fabric,
    repeatable,
    resolve_accelerator,
    resolve_precision,
)
from stylegan_core.training.optimizers import PhaseOptimizers
from stylegan_core.training.step import Stepper

FIRST_STEP = 1000  # past any warm-up phase


class FakeSampler:
    """Ready-made crops: loading has its own benchmark."""

    def __init__(self, config: RecipeConfig, device: torch.device) -> None:
        torch.manual_seed(0)
        shape = (config.batch_size, 3, config.crop_px, config.crop_px)
        content, style, unpainted = (torch.rand(shape, device=device) * 2.0 - 1.0 for _ in range(3))
        self.ready = Batch(content=content, style=style, unpainted=unpainted)


def ours(recipe_name: str, config: RecipeConfig, fabric, batch: Batch, precision: str) -> Callable[[int], None]:
    torch.manual_seed(0)
    recipe = recipe_class(recipe_name)(config).to(fabric.device).train()
    networks = {name: recipe.networks[name] for name in recipe.inference_networks}
    average = MovingAverage(networks, config.ema_decay)
    optimizers = PhaseOptimizers(fabric, recipe.networks, fused=precision != "fp16")
    stepper = Stepper(fabric, recipe, optimizers, average, config)

    def step(index: int) -> None:
        stepper.step(FIRST_STEP + index, lambda: batch)

    return step


def plain(recipe_name: str, config: RecipeConfig, device: torch.device, batch: Batch) -> Callable[[int], None]:
    """What one writes first: fp32, Adam as it comes, no average, no precision, no schedules."""
    torch.manual_seed(0)
    recipe = recipe_class(recipe_name)(config).to(device).train()
    phase = recipe.phases()[-1]

    def parameters(groups) -> list[torch.nn.Parameter]:
        return [p for group in groups for name in group.networks for p in recipe.networks[name].parameters()]

    side = {"generator": parameters(phase.generator), "discriminator": parameters(phase.discriminator)}
    adam = {role: torch.optim.Adam(members, lr=2e-4, betas=(0.5, 0.999)) for role, members in side.items() if members}

    def step(index: int) -> None:
        for parameter in side["discriminator"]:
            parameter.requires_grad_(False)
        losses, fakes = recipe.generator_losses(batch, FIRST_STEP + index)
        adam["generator"].zero_grad()
        sum(losses.values()).backward()
        adam["generator"].step()
        if "discriminator" not in adam:
            return
        for parameter in side["discriminator"]:
            parameter.requires_grad_(True)
        detached = {name: fake.detach() for name, fake in fakes.items()}
        adam["discriminator"].zero_grad()
        sum(recipe.discriminator_losses(batch, detached, FIRST_STEP + index).values()).backward()
        adam["discriminator"].step()

    return step


def seconds(step: Callable[[int], None], first: int, steps: int, device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    started_s = time.perf_counter()
    for index in range(first, first + steps):
        step(index)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - started_s) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="keyframe")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the recipe")
    parser.add_argument("--accelerator", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--steps", type=int, default=4, help="of each loop a turn")
    options = parser.parse_args()
    settings = {name: json.loads(value) for name, value in (pair.split("=") for pair in options.set)}
    document = {"train": {"recipe": options.recipe, options.recipe: settings}}
    config = parse_params(document).train().config
    accelerator = resolve_accelerator(options.accelerator)
    precision = resolve_precision(options.precision, accelerator)
    with repeatable(options.threads, accelerator=accelerator) as threads:
        fabric = make_fabric(accelerator, 1, precision)
        batch = FakeSampler(config, fabric.device).ready
        loops = {
            "ours": ours(options.recipe, config, fabric, batch, precision),
            "plain": plain(options.recipe, config, fabric.device, batch),
        }
        for step in loops.values():
            seconds(step, 0, 2, fabric.device)  # warm-up
        times: dict[str, list[float]] = {name: [] for name in loops}
        for turn in range(options.turns):
            for name, step in loops.items():
                times[name].append(seconds(step, 2 + turn * options.steps, options.steps, fabric.device))
    ratios = [p / o for p, o in zip(times["plain"], times["ours"], strict=True)]
    print(
        json.dumps(
            {
                "name": "benchmark/training_step_ratio",
                "recipe": options.recipe,
                "settings": settings,
                "accelerator": accelerator,
                "precision": precision,
                "threads": threads,
                "processor": asdict(describe_processor()),
                "ours_ms": round(1000 * statistics.median(times["ours"]), 2),
                "plain_ms": round(1000 * statistics.median(times["plain"]), 2),
                "ratio": round(statistics.median(ratios), 3),
                "unit": "1",
            }
        )
    )


if __name__ == "__main__":
    main()
