"""Weak supervision on facades: do 10 % known pairs help an unpaired recipe, and does it add anything to those pairs?

    python benchmarks/weak_supervision.py $DATA WORK [--recipe cut] [--steps 600] [--results docs/results.json]

Photographs become label maps. Training has the halves of $DATA/facades/train; all runs take equal steps from one
seed, and are measured on val, which training never saw:

    unpaired         no pair is known
    weak             10 % of the pairs are known (lambda * unpaired objective + (1 - lambda) * L1)
    pairs_alone      the same pairs, and nothing else: lambda is 0

next to the mean label map of training and the photographs themselves. Checkpoints and models lie in WORK: the same
command resumes a stopped run, and measures again what is trained already.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from facades import Pictures, nearest_label
from PIL import Image
from ruamel.yaml import YAML

SIDE_PX = 96
SEED = 0
DATE = "2026-11-20"
MACHINE = "2 CPU cores, one thread"
RUNS: dict[str, dict[str, Any]] = {
    "unpaired": {"known_fraction": 0.0},
    "weak": {"known_fraction": 0.1},
    "pairs_alone": {"known_fraction": 0.1, "supervision_lambda": 0.0},
}
SMALL = {
    "crop_px": 64,
    "batch_size": 4,
    "generator_lr": 4e-4,
    "discriminator_lr": 4e-4,
    "ema_decay": 0.99,
    "channels": 24,
    "blocks": 4,
    "norm": "none",
    "output": "tanh",
    "discriminator_channels": 24,
    "discriminator_layers": 2,
    "discriminator_norm": "spectral",
}
OF_RECIPE: dict[str, dict[str, Any]] = {
    "cut": {"fast": True, "nce_weight": 1.0, "nce_patches": 64, "projection_width": 64},
    "cyclegan": {"lr_schedule": "constant"},
}


def halves(folder: Path) -> tuple[Pictures, Pictures]:
    """Photographs (left) and label maps (right), scaled down."""
    sides: tuple[list[Pictures], list[Pictures]] = ([], [])
    for path in sorted(folder.glob("*.jpg")):
        with Image.open(path) as opened:
            whole = opened.convert("RGB")
        middle = whole.width // 2
        for left, side in zip((0, middle), sides, strict=True):
            half = whole.crop((left, 0, left + middle, whole.height))
            small = half.resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX)
            side.append(np.asarray(small, np.float32) / np.float32(255.0))
    if not sides[0]:
        raise SystemExit(f"{folder} holds no pictures")
    return np.stack(sides[0]), np.stack(sides[1])


def measured(results: Pictures, truths: Pictures) -> dict[str, float]:
    """Figures against the true label maps."""
    from stylegan_core.metrics.psnr import psnr_db

    return {
        "l1_unit": float(np.abs(results - truths).mean()),
        "psnr_db": psnr_db(list(results), list(truths)),
        "label_agreement": float((nearest_label(results) == nearest_label(truths)).mean()),
    }


def prepare_pairs(photographs: Pictures, maps: Pictures, work: Path) -> dict[str, Any]:
    """Writes and prepares the training pairs; the section ``prepare``."""
    from stylegan_core.config import parse_params
    from tasks.stages.prepare import prepare

    for name, pictures in (("content", photographs), ("style", maps)):
        (work / name).mkdir(parents=True, exist_ok=True)
        for index, picture in enumerate(pictures):
            Image.fromarray(np.rint(picture * 255.0).astype(np.uint8)).save(work / name / f"{index:03d}.png")
    section = {
        "source": "pairs",
        "content": str(work / "content"),
        "style": str(work / "style"),
        "validation_fraction": 0.0,
        "test_fraction": 0.0,
    }
    prepare(parse_params({"prepare": section, "train": {"recipe": "cut"}}), work / "prepared")
    return section


def train(recipe: str, name: str, settings: dict[str, Any], section: dict[str, Any], work: Path) -> tuple[Path, float]:
    """The model's folder, and the seconds that this call took."""
    from stylegan_core.config import parse_params
    from tasks.stages.train import train_model
    from tasks.stages.training_plan import plan_trainings

    never = {"validate_every_steps": 1_000_000, "sample_every_steps": 1_000_000}  # nothing is held out of training
    chosen = {"recipe": recipe, "common": {"seed": SEED, **never}, recipe: settings}
    (job,) = plan_trainings(parse_params({"prepare": section, "train": chosen}), work / "prepared").jobs
    begun_s = time.monotonic()
    train_model(job, work / "prepared", work / name, work / "curves" / name)
    return work / name / job.training.name, time.monotonic() - begun_s


def translated(model: Path, content: Pictures) -> Pictures:
    """What the model makes of photographs, clipped to [0, 1]."""
    from stylegan_core.inference.network.translate import translate_batch_unit
    from stylegan_core.recipes.model import load_model

    recipe = load_model(model).recipe
    return np.clip(np.concatenate([translate_batch_unit(recipe, picture[None]) for picture in content]), 0.0, 1.0)


def write_grid(columns: list[Pictures], path: Path) -> None:
    """Rows of pictures side by side: for inspection, never published."""
    rows = [np.concatenate([column[row] for column in columns], axis=1) for row in range(0, len(columns[0]), 6)]
    Image.fromarray(np.rint(np.concatenate(rows) * 255.0).astype(np.uint8)).save(path)


def publish(path: Path, recipe: str, steps: int, figures: dict[str, dict[str, float]]) -> None:
    """Records the figures of all runs and baselines."""
    from stylegan_core.report.results import Result, record_results

    command = f"python benchmarks/weak_supervision.py $DATA WORK --recipe {recipe} --steps {steps}"
    record_results(
        path,
        [
            Result(
                recipe=recipe,
                name=f"weak_supervision/{run}/{name}",
                value=value,
                status="measured",
                unit="dB" if name.endswith("_db") else "1",
                command=command,
                seed=SEED,
                machine=MACHINE,
                date=DATE,
            )
            for run, values in figures.items()
            for name, value in values.items()
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the trial data folder")
    parser.add_argument("work", type=Path, help="checkpoints, models and pictures; outside the repository")
    parser.add_argument("--recipe", choices=sorted(OF_RECIPE), default="cut")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--only", nargs="+", choices=list(RUNS), default=list(RUNS))
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes of the recipe's settings")
    parser.add_argument("--results", type=Path, help="docs/results.json, to publish the figures")
    arguments = parser.parse_args()
    work = arguments.work.absolute()
    os.environ["STYLEREEL_CACHE_DIR"] = str(work / "cache")

    changes = {key: YAML(typ="safe").load(value) for key, _, value in (item.partition("=") for item in arguments.set)}
    photographs, maps = halves(arguments.data / "facades" / "train")
    val_photographs, val_maps = halves(arguments.data / "facades" / "val")
    section = prepare_pairs(photographs, maps, work)
    made = {
        "photographs": val_photographs,
        "mean_map": np.broadcast_to(maps.mean(axis=0), val_maps.shape).astype(np.float32),
    }
    for name in arguments.only:
        settings = {**SMALL, **OF_RECIPE[arguments.recipe], "budget_steps": arguments.steps, **RUNS[name], **changes}
        model, seconds = train(arguments.recipe, name, settings, section, work)
        print(f"{name}: {arguments.steps} steps, {seconds:.0f} s", flush=True)
        made[name] = translated(model, val_photographs)
    figures = {name: measured(pictures, val_maps) for name, pictures in made.items()}
    for name, values in figures.items():
        print(f"{name:12}", json.dumps({key: round(value, 4) for key, value in values.items()}))
    write_grid([val_photographs, *(made[name] for name in arguments.only), val_maps], work / "val.png")
    if arguments.results:
        publish(arguments.results, arguments.recipe, arguments.steps, figures)


if __name__ == "__main__":
    main()
