"""Fine-tuning against training from scratch, at equal steps on 20 pairs: a new painting style.

    python benchmarks/fine_tuning.py $DATA WORK [--results docs/results.json]

A pix2pix model first learns another task: to paint room photographs ($DATA/interiors_photo) in oil. Then 20 photographs
of facades ($DATA/facades/train) and the same in another manner, larger strokes in two inks, are learned for the same
number of steps

    from_scratch         from random weights
    fine_tuned           from that model (train.common.init_from)
    fine_tuned_freezed   from that model, the discriminator's first layers kept as they are (FreezeD)

and all are measured on the 50 facades in val, with three choices of 20 pairs and seeds each. ``unadapted`` is the first
model as it was, ``untouched`` the photographs.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from facades import Pictures, pairs, prepare_settings
from PIL import Image
from pix2pix_facades import grid, measured, publish, show, translated

SIDE_PX = 64
PAIRS = 20
SEEDS = (0, 1, 2)
STEPS = 200
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


def rooms(folder: Path) -> Pictures:
    """Square photographs."""
    photographs = []
    for path in sorted(folder.iterdir()):
        with Image.open(path) as opened:
            whole = opened.convert("RGB")
        side = min(whole.size)
        left, top = (whole.width - side) // 2, (whole.height - side) // 2
        square = whole.crop((left, top, left + side, top + side))
        photographs.append(np.asarray(square.resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX), np.float32) / 255.0)
    return np.stack(photographs)


def in_oil(photographs: Pictures, stroke_px: int = 2) -> Pictures:
    """What the sample's painter makes of them."""
    from stylegan_core.data.sample.painter import paint_in_oil

    codes = np.rint(photographs * 255.0).astype(np.uint8)
    return np.stack([paint_in_oil(picture, stroke_px) for picture in codes]).astype(np.float32) / 255.0


def in_two_inks(photographs: Pictures) -> Pictures:
    """Larger strokes, whose brightness goes from a dark blue over red to cream."""
    grey = in_oil(photographs, stroke_px=3) @ np.asarray([0.299, 0.587, 0.114], np.float32)
    stops, inks = (0.0, 0.5, 1.0), np.asarray([(0.08, 0.10, 0.30), (0.75, 0.30, 0.25), (0.98, 0.93, 0.78)])
    channels = [np.interp(grey, stops, inks[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def train(
    work: Path, content: Pictures, style: Pictures, settings: Mapping[str, Any], seed: int, init: Path | None
) -> Path:
    """Trains content to style; the model's folder."""
    from stylegan_core.config import parse_params
    from tasks.stages.prepare import prepare
    from tasks.stages.train import train_model
    from tasks.stages.training_plan import plan_trainings

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
    from tasks.stages.prepare import prepare

    settings = dict(recipe_class("pix2pix").presets["two_cores"]) | SETTINGS
    photographs = rooms(data / "interiors_photo")
    first = train(work / "first", photographs, in_oil(photographs), settings | FIRST, 0, None)
    facades = {"prepare": prepare_settings(data, "left", SIDE_PX), "train": {"recipe": "pix2pix"}}
    if not (work / "facades" / "report.json").is_file():
        prepare(parse_params(facades), work / "facades")
    content = pairs(work / "facades", "train")[1]
    val = pairs(work / "facades", "validation")[1]
    style, truth = in_two_inks(content), in_two_inks(val)
    made = {"unadapted": translated(first, val)}
    figures = {"untouched": measured(val, truth), "unadapted": measured(made["unadapted"], truth)}
    for seed in arguments.seeds:
        chosen = np.random.default_rng(seed).choice(len(content), PAIRS, replace=False)
        for name, (tuned, changes) in RUNS.items():
            asked = settings | changes | {"budget_steps": STEPS}
            folder = work / f"{name}_{seed}"
            model = train(folder, content[chosen], style[chosen], asked, seed, first if tuned else None)
            made[name] = translated(model, val)
            figures[f"{name}/seed_{seed}"] = measured(made[name], truth)
    for name in RUNS:
        runs = [values for key, values in figures.items() if key.startswith(f"{name}/seed_")]
        figures[name] = {key: float(np.mean([values[key] for values in runs])) for key in runs[0]}
    show(figures)
    (work / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    shown = range(0, len(truth), 6)
    grid([[val[i], *(pictures[i] for pictures in made.values()), truth[i]] for i in shown], work / "val.png")
    if arguments.results:
        means = {name: values for name, values in figures.items() if "/" not in name}
        command = "python benchmarks/fine_tuning.py $DATA WORK"
        publish(arguments.results, means, "fine_tuning/", command)


if __name__ == "__main__":
    main()
