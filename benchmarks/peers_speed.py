"""Training speed of `cut` and `cyclegan` beside their authors' code, with equal networks, alternately.

    python benchmarks/peers_speed.py PEER [--recipe cut] [--precision auto] [--crop-px 128] [--threads 2]

PEER is a checkout of https://github.com/taesungp/contrastive-unpaired-translation, which has both methods, as its
authors have them; its requirements are not needed. Nothing of it is part of this repository.

Both train in this process, on the same random crops in memory, in turns of a few steps, so that a busy machine slows
both: the ratio is the median of the turns' ratios, by the clock and by the CPU time of all threads. The authors' code
is run as it comes, in fp32. Prints one line of JSON; ``ratio`` above 1 means that ours is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from stylegan_core.config import parse_params
from stylegan_core.data.batch import Batch
from stylegan_core.recipes import config_class, recipe_class
from stylegan_core.training.ema import MovingAverage
from stylegan_core.training.hardware import describe_processor, make_fabric, repeatable, resolve_precision
from stylegan_core.training.optimizers import PhaseOptimizers
from stylegan_core.training.step import Stepper

SEED = 0
Step = Callable[[int], None]


def ours(options: argparse.Namespace, precision: str, batch: Batch) -> Step:
    """One step of the trainer, with its moving average, which the authors' code does not have."""
    settings: dict[str, object] = {
        "budget_steps": 1_000_000,
        "crop_px": options.crop_px,
        "batch_size": options.batch_size,
        "channels": options.channels,
        "discriminator_channels": options.discriminator_channels,
    }
    if options.fast:
        settings["fast"] = True
    if "anti_aliased" in config_class(options.recipe).model_fields:
        settings["anti_aliased"] = options.anti_aliased
    document = {"train": {"recipe": options.recipe, options.recipe: settings}}
    config = parse_params(document).train().config
    torch.manual_seed(SEED)
    recipe = recipe_class(options.recipe)(config).train()
    fabric = make_fabric("cpu", 1, precision)
    average = MovingAverage({name: recipe.networks[name] for name in recipe.inference_networks}, config.ema_decay)
    stepper = Stepper(fabric, recipe, PhaseOptimizers(fabric, recipe.networks, fused=True), average, config)

    def step(index: int) -> None:
        for loss in stepper.step(index, lambda: batch).values():
            loss.item()  # as the training loop does on a CPU

    return step


def theirs(options: argparse.Namespace, batch: Batch) -> Step:
    """One step of the authors' model, as their train.py takes it."""
    sys.path.insert(0, str(options.peer))
    import models  # type: ignore[import-not-found]
    from options.train_options import TrainOptions  # type: ignore[import-not-found]

    name = "cut" if options.recipe == "cut" else "cycle_gan"
    line = (
        f"--model {name} --gpu_ids -1 --ngf {options.channels} --ndf {options.discriminator_channels} "
        f"--batch_size {options.batch_size} --crop_size {options.crop_px}"
    )
    if not options.anti_aliased:
        line += " --no_antialias --no_antialias_up"
    if name == "cut":
        line += f" --CUT_mode {'FastCUT' if options.fast else 'CUT'}"
    given = TrainOptions(cmd_line=line).gather_options()
    given.isTrain, given.gpu_ids, given.amp = True, [], False
    torch.manual_seed(SEED)
    model = models.create_model(given)
    data = {"A": batch.content, "B": batch.style, "A_paths": "", "B_paths": ""}
    if name == "cut":
        model.data_dependent_initialize(data)

    def step(index: int) -> None:  # noqa: ARG001
        model.set_input(data)
        model.optimize_parameters()

    return step


def measure(step: Step, first: int, steps: int) -> tuple[float, float]:
    """Seconds a step, by the clock and by the CPU time of this process."""
    clock_s, cpu_s = time.perf_counter(), time.process_time()
    for index in range(first, first + steps):
        step(index)
    return (time.perf_counter() - clock_s) / steps, (time.process_time() - cpu_s) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", type=Path, help="checkout of contrastive-unpaired-translation")
    parser.add_argument("--recipe", choices=("cut", "cyclegan"), default="cut")
    parser.add_argument("--fast", action="store_true", help="FastCUT")
    parser.add_argument("--precision", default="auto", help="of ours")
    parser.add_argument("--crop-px", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--discriminator-channels", type=int, default=64)
    parser.add_argument("--anti-aliased", action="store_true", help="with the low-pass filters of both")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--steps", type=int, default=4, help="of each in a turn")
    options = parser.parse_args()
    precision = resolve_precision(options.precision, "cpu")
    generator = torch.Generator().manual_seed(SEED)
    shape = (options.batch_size, 3, options.crop_px, options.crop_px)
    content, style = (torch.rand(shape, generator=generator) * 2 - 1 for _ in range(2))
    batch = Batch(content=content, style=style)
    times: dict[str, list[tuple[float, float]]] = {"ours": [], "theirs": []}
    torch.set_num_threads(options.threads)
    steps = {"ours": ours(options, precision, batch), "theirs": theirs(options, batch)}
    for turn in range(-1, options.turns):  # the first turn is a warm-up
        for name, step in steps.items():
            first = (turn + 1) * options.steps
            if name == "ours":
                with repeatable(options.threads):
                    measured = measure(step, first, options.steps)
            else:
                measured = measure(step, first, options.steps)
            if turn >= 0:
                times[name].append(measured)
    ratios = [
        [theirs_s[kind] / ours_s[kind] for ours_s, theirs_s in zip(times["ours"], times["theirs"], strict=True)]
        for kind in (0, 1)
    ]
    print(
        json.dumps(
            {
                "name": "benchmark/peer_speed_ratio",
                "recipe": options.recipe,
                "fast": options.fast,
                "precision": precision,
                "threads": options.threads,
                "processor": asdict(describe_processor()),
                "ours_ms": round(1000 * statistics.median(clock_s for clock_s, _ in times["ours"]), 2),
                "theirs_ms": round(1000 * statistics.median(clock_s for clock_s, _ in times["theirs"]), 2),
                "ours_cpu_ms": round(1000 * statistics.median(cpu_s for _, cpu_s in times["ours"]), 2),
                "theirs_cpu_ms": round(1000 * statistics.median(cpu_s for _, cpu_s in times["theirs"]), 2),
                "ratio": round(statistics.median(ratios[0]), 3),
                "cpu_time_ratio": round(statistics.median(ratios[1]), 3),
                "unit": "1",
            }
        )
    )


if __name__ == "__main__":
    main()
