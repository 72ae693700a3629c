"""A small student of a large model: how near it comes, its size for phones, and how large each runs in real time.

    python benchmarks/student.py TEACHER PICTURES WORK [--channels 12] [--blocks 3] [--steps 7000] [--fps 25]
        [--int8] [--results docs/results.json]

WORK keeps the student and the exports: run again, it measures alone. The largest side is of a square, in multiples of
8 px, at which the bare network in its fastest back end makes ``--fps`` pictures a second, side by side on all cores:
the median of a second's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from datetime import date
from pathlib import Path
from typing import Any

import torch

from stylegan_core.inference.network.backends.benchmark import fastest, seconds_a_picture
from stylegan_core.inference.network.backends.compile import runner
from stylegan_core.inference.network.translate import pad_to_network
from stylegan_core.recipes.base import Conditions
from stylegan_core.recipes.model import Model, load_model
from stylegan_core.report.results import Result, record_results
from stylegan_core.storage.model_folder import MODEL_CARD
from tasks.models.distill import DEFAULT_STEPS, distill_model
from tasks.models.export import export_model
from tasks.shared.errors import UsageError

LARGEST_PX = 4096


def seconds(model: Model, side_px: int, budget_s: float = 1.0) -> tuple[float, str]:
    """Median seconds of a square in the fastest back end, and which that is."""
    choice = fastest(model, "auto", "cpu", 8.0)  # of a large frame: a network in real time is always worth it
    run = runner(model.recipe, Conditions(), choice.back_end, choice.precision)
    content = pad_to_network(torch.rand(1, 3, side_px, side_px) * 2 - 1)
    seconds_a_picture(run, content, "cpu")
    times: list[float] = []
    began_s = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - began_s < budget_s:
        times.append(seconds_a_picture(run, content, "cpu"))
    return statistics.median(times), f"{choice.back_end} {choice.precision}"


def largest_side(model: Model, fps: float) -> tuple[int, str]:
    """The largest square that keeps up, by bisection; 0 if 32 px do not."""
    found, too_large, by = 0, LARGEST_PX + 8, ""
    while too_large - found > 8:
        side_px = max(32, (found + too_large) // 16 * 8) if found else min(128, too_large - 8)
        if found == 0 and too_large <= 128:
            side_px = max(32, too_large // 16 * 8)
        spent_s, by = seconds(model, side_px)
        if spent_s <= 1 / fps:
            # Work grows with the area: the next guess lies near the answer.
            found = side_px
            guess = int(side_px * (1 / fps / spent_s) ** 0.5) // 8 * 8 + 8
            if found < guess < too_large and seconds(model, guess)[0] > 1 / fps:
                too_large = guess
        else:
            too_large = side_px
        if too_large <= 32:
            break
    return found, by


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--channels", type=int, default=12)
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--steps", type=int, default=DEFAULT_STEPS)
    parser.add_argument("--fps", type=float, default=25.0)
    parser.add_argument("--int8", action="store_true", help="export in int8 too, at whatever loss, which is said")
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    folder, found = options.work / "student", {}
    if not (folder / MODEL_CARD).exists():
        distill_model(
            str(options.teacher),
            options.work,
            options.pictures,
            folder,
            channels=options.channels,
            blocks=options.blocks,
            steps=options.steps,
        )
    student, teacher = load_model(folder), load_model(options.teacher)
    near = student.card.validation["last"]
    found |= {"psnr_db": (near["teacher/psnr_db"], "dB"), "swd": (near["teacher/swd"], "1")}
    for name, model in (("student", student), ("teacher", teacher)):
        found[f"{name}_parameters"] = (sum(p.numel() for p in model.recipe.parameters()), "1")
        found |= sizes(name, model, options)
        side_px, by = largest_side(model, options.fps)
        found[f"{name}_real_time_px"] = (side_px, "px")
        print(json.dumps({"model": name, "fastest": by, "real_time_px": side_px}), flush=True)
    print(json.dumps({name: round(value, 4) for name, (value, _) in found.items()}, indent=2))
    if options.results:
        record(options, teacher, found)


def sizes(name: str, model: Model, options: argparse.Namespace) -> dict[str, tuple[float, str]]:
    """Bytes of the exports that are wanted, and what int8 loses."""
    kept: dict[str, tuple[float, str]] = {}
    output = options.work / f"{name}.fp16.onnx"
    card = export_model(str(model.folder), options.work, output, precision="fp16", accept_loss_db=40.0).card
    kept[f"{name}_fp16_mb"] = (card.bytes / 1e6, "MB")
    if options.int8:
        output = options.work / f"{name}.int8.onnx"
        try:
            card = export_model(
                str(model.folder),
                options.work,
                output,
                precision="int8",
                calibrate=options.pictures,
                accept_loss_db=0.0,
            ).card
        except UsageError as error:
            print(json.dumps({"model": name, "int8": str(error)}))
            return kept
        kept[f"{name}_int8_mb"] = (card.bytes / 1e6, "MB")
        assert card.psnr_to_torch_db is not None
        kept[f"{name}_int8_psnr_db"] = (card.psnr_to_torch_db, "dB")
    return kept


def record(options: argparse.Namespace, teacher: Model, found: dict[str, Any]) -> None:
    """Into docs/results.json."""
    command = (
        f"python benchmarks/student.py TEACHER PICTURES WORK --channels {options.channels} --blocks {options.blocks} "
        f"--steps {options.steps}{' --int8' if options.int8 else ''}"
    )
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPU cores"
    record_results(
        options.results,
        [
            Result(
                recipe=teacher.card.recipe,
                name=f"student/{name}",
                value=round(value, 4),
                status="measured",
                unit=unit,
                command=command,
                seed=0,
                machine=machine,
                date=date.today().isoformat(),
            )
            for name, (value, unit) in found.items()
        ],
    )


if __name__ == "__main__":
    main()
