"""Fine-tuning against a start from nothing, at equal steps on 20 pairs.

    python benchmarks/fine_tuning.py $DATA WORK [--results docs/results.json]

A pix2pix model learns a task of its own first: room photographs ($DATA/interiors_photo) from their twelve levels of
brightness, painted in the facades' label colours. It has seen no facade, and its colours mean something else. Then 20
pairs of $DATA/facades/train, label maps to photographs, are learned for the same number of steps

    from_scratch         from random weights
    fine_tuned           from that model (train.common.init_from)
    fine_tuned_freezed   from that model, the discriminator's first layers kept as they are (FreezeD)

and all are judged on the 50 pairs in val, three choices of 20 pairs and seeds each. ``unadapted`` is the first model.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from facades import LABELS, Pictures, mean_photograph, pairs, prepare_settings
from PIL import Image
from pix2pix_facades import grid, measured, publish, show, translated

SIDE_PX = 64
PAIRS = 20
SEEDS = (0, 1, 2)
STEPS = 300
SETTINGS: dict[str, Any] = {
    "crop_px": SIDE_PX,
    "batch_size": 4,
    "unet_levels": 5,
    "discriminator_layers": 2,
    "lr_schedule": "constant",
    "ema_decay": 0.98,
}
FIRST: dict[str, Any] = {"budget_steps": 1500}
RUNS: dict[str, tuple[bool, dict[str, Any]]] = {
    "from_scratch": (False, {}),
    "fine_tuned": (True, {}),
    "fine_tuned_freezed": (True, {"frozen_layers": 2}),
}


def rooms(folder: Path) -> tuple[Pictures, Pictures]:
    """Maps of brightness in the label colours, and the photographs."""
    maps, photographs = [], []
    palette = np.asarray(list(LABELS.values()), np.float32) / 255.0
    for path in sorted(folder.iterdir()):
        with Image.open(path) as opened:
            whole = opened.convert("RGB")
        side = min(whole.size)
        left, top = (whole.width - side) // 2, (whole.height - side) // 2
        square = whole.crop((left, top, left + side, top + side))
        small = np.asarray(square.resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX))
        grey = cv2.medianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), 5)
        levels = np.searchsorted(np.quantile(grey, np.arange(1, len(palette)) / len(palette)), grey)
        maps.append(palette[levels])
        photographs.append(small.astype(np.float32) / 255.0)
    return np.stack(maps), np.stack(photographs)


def train(
    work: Path, content: Pictures, style: Pictures, settings: Mapping[str, Any], seed: int, init: Path | None
) -> Path:
    """Trains content to style; the model's folder."""
    from stylegan_core.config import parse_params
    from tasks.prepare import prepare
    from tasks.train import plan_trainings, train_model

    for name, pictures in (("content", content), ("style", style)):
        (work / name).mkdir(parents=True, exist_ok=True)
        for index, picture in enumerate(pictures):
            Image.fromarray(np.rint(picture * 255.0).astype(np.uint8)).save(work / name / f"{index:03d}.png")
    never = 1_000_000
    common = {"seed": seed, "validate_every_steps": never, "sample_every_steps": never}
    params = parse_params(
        {
            "prepare": {
                "source": "pairs",
                "content": str(work / "content"),
                "style": str(work / "style"),
                "validation_fraction": 0.0,
                "test_fraction": 0.0,
            },
            "train": {
                "recipe": "pix2pix",
                "common": common | {"init_from": None if init is None else str(init)},
                "pix2pix": dict(settings),
            },
        }
    )
    prepare(params, work / "prepared")
    (job,) = plan_trainings(params, work / "prepared").jobs
    train_model(job, work / "prepared", work / "model", work / "curves")
    return work / "model" / job.training.name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the trial data folder")
    parser.add_argument("work", type=Path, help="checkpoints, models and pictures; outside the repository")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--results", type=Path, help="docs/results.json, to publish the figures")
    arguments = parser.parse_args()
    data, work = arguments.data, arguments.work.absolute()
    os.environ["STYLEREEL_CACHE_DIR"] = str(work / "cache")
    from stylegan_core.config import parse_params
    from stylegan_core.recipes import recipe_class
    from tasks.prepare import prepare

    settings = dict(recipe_class("pix2pix").presets["two_cores"]) | SETTINGS
    first = train(work / "first", *rooms(data / "interiors_photo"), settings | FIRST, 0, None)
    facades = {"prepare": prepare_settings(data, "right", SIDE_PX), "train": {"recipe": "pix2pix"}}
    if not (work / "facades" / "report.json").is_file():
        prepare(parse_params(facades), work / "facades")
    _, maps, photographs = pairs(work / "facades", "train")
    _, val_maps, truth = pairs(work / "facades", "validation")
    made = {"unadapted": translated(first, val_maps)}
    figures = {"unadapted": measured(made["unadapted"], truth)}
    for seed in arguments.seeds:
        chosen = np.random.default_rng(seed).choice(len(maps), PAIRS, replace=False)
        known = measured(mean_photograph(photographs[chosen], len(truth)), truth)
        figures[f"mean_photograph/seed_{seed}"] = known
        for name, (tuned, changes) in RUNS.items():
            asked = settings | changes | {"budget_steps": STEPS}
            folder = work / f"{name}_{seed}"
            model = train(folder, maps[chosen], photographs[chosen], asked, seed, first if tuned else None)
            made[name] = translated(model, val_maps)
            figures[f"{name}/seed_{seed}"] = measured(made[name], truth)
    for name in ("mean_photograph", *RUNS):
        runs = [values for key, values in figures.items() if key.startswith(f"{name}/seed_")]
        figures[name] = {key: float(np.mean([values[key] for values in runs])) for key in runs[0]}
    show(figures)
    (work / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    shown = range(0, len(truth), 6)
    grid([[val_maps[i], *(pictures[i] for pictures in made.values()), truth[i]] for i in shown], work / "val.png")
    if arguments.results:
        means = {name: values for name, values in figures.items() if "/" not in name}
        command = "python benchmarks/fine_tuning.py $DATA WORK"
        publish(arguments.results, means, "fine_tuning/", command)


if __name__ == "__main__":
    main()
