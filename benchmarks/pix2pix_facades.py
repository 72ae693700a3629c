"""pix2pix on facades: label maps in, photographs out, with baselines; and photographs to label maps.

    python benchmarks/pix2pix_facades.py $DATA WORK [--only gan l1_only] [--results docs/results.json]

Trains on the 200 pairs in $DATA/facades/train at 128 px and measures on the 50 in val, which training never saw.
Checkpoints and models lie in WORK, outside the repository: the same command resumes a stopped run,
and only measures what is trained already.

    gan                 label maps to photographs, the two_cores preset
    l1_only             the same without a discriminator
    adversarial_first   a tenth of the L1 term: livelier, and further from the truth than the mean photograph
    projected           heads on trained features, and less L1: 2,800 steps instead of 5,000
    way_back            photographs to label maps, a short run

Baselines: the mean of the training photographs, and the mean photograph colour of each label, painted into val's maps.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from facades import (
    LABELS,
    Pictures,
    drawn_facade,
    label_colours,
    labels,
    mean_photograph,
    nearest_label,
    pairs,
    prepare_settings,
)
from PIL import Image
from ruamel.yaml import YAML

SIDE_PX = 128
SEED = 0
UNITS = {"psnr_db": "dB"}
RUNS: dict[str, dict[str, Any]] = {
    "gan": {},
    "l1_only": {"adversarial_weight": 0.0},
    "adversarial_first": {"l1_weight": 10.0, "augmentation": "diffaugment"},
    "projected": {
        "budget_steps": 2800,
        "lr_decay_start_step": 1400,
        "lr_decay_end_step": 2800,
        "beta1": 0.0,
        "beta2": 0.99,
        "ema_decay": 0.998,
        "discriminator_layout": "projected",
        "projected_mixes_scales": False,
        "discriminator_layers": 2,
        "adversarial": "hinge",
        "augmentation": "mild",
        "l1_weight": 40.0,
    },
    "way_back": {"budget_steps": 600, "lr_decay_start_step": 300, "lr_decay_end_step": 600},
}


def measured(results: Pictures, truths: Pictures) -> dict[str, float]:
    from stylegan_core.metrics.psnr import psnr_db
    from stylegan_core.metrics.ssim import ssim
    from stylegan_core.metrics.swd import patch_swd

    made, true = list(results), list(truths)
    return {
        "l1_unit": float(np.abs(results - truths).mean()),
        "psnr_db": psnr_db(made, true),
        "ssim": ssim(made, true),
        "swd": patch_swd(made, true),
    }


def train(name: str, prepare: Mapping[str, Any], settings: Mapping[str, Any], work: Path) -> Path:
    """Trains from ``work/prepared``; the model's folder."""
    from stylegan_core.config import parse_params
    from tasks.stages.train import train_model
    from tasks.stages.training_plan import plan_trainings

    common = {"seed": SEED, "validate_every_steps": 1000, "sample_every_steps": 1_000_000}
    section = {"recipe": "pix2pix", "common": common, "pix2pix": dict(settings)}
    params = parse_params({"prepare": dict(prepare), "train": section})
    (job,) = plan_trainings(params, work / "prepared").jobs
    begun_s = time.monotonic()
    card = train_model(job, work / "prepared", work / name, work / name / "curves")
    assert card is not None
    print(f"{name}: {card.steps} steps; this call took {time.monotonic() - begun_s:.0f} s", flush=True)
    return work / name / job.training.name


def translated(model: Path, content: Pictures) -> Pictures:
    import torch

    from stylegan_core.recipes.base import Conditions
    from stylegan_core.recipes.model import load_model

    recipe = load_model(model).recipe
    with torch.no_grad():
        made = [recipe.translate(torch.from_numpy(c.transpose(2, 0, 1)[None] * 2 - 1), Conditions()) for c in content]
    unit = torch.cat(made).mul(0.5).add(0.5).clamp(0, 1)
    return np.ascontiguousarray(unit.permute(0, 2, 3, 1).numpy())


def grid(rows: Sequence[Sequence[Pictures]], path: Path) -> None:
    """Writes (H, W, 3) pictures in rows and columns."""
    gap_px = 4
    height, width = rows[0][0].shape[:2]
    canvas = np.ones((len(rows) * (height + gap_px) + gap_px, len(rows[0]) * (width + gap_px) + gap_px, 3), np.float32)
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            top, left = y * (height + gap_px) + gap_px, x * (width + gap_px) + gap_px
            canvas[top : top + height, left : left + width] = picture
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(canvas * 255.0).astype(np.uint8)).save(path, quality=92)


def publish(path: Path, figures: Mapping[str, Mapping[str, float]], prefix: str, command: str) -> None:
    from stylegan_core.report.results import Result, record_results

    record_results(
        path,
        [
            Result(
                recipe="pix2pix",
                name=f"{prefix}{subject}/{figure}",
                value=value,
                status="measured",
                unit=UNITS.get(figure, "1"),
                command=command,
                seed=SEED,
                machine="2 CPU cores, one thread",
                date=time.strftime("%Y-%m-%d"),
            )
            for subject, values in figures.items()
            for figure, value in values.items()
        ],
    )


def show(figures: Mapping[str, Mapping[str, float]]) -> None:
    for subject, values in figures.items():
        print(f"{subject:24}", "  ".join(f"{name} {value:.4f}" for name, value in values.items()))


def prepare_once(settings: dict[str, Any], folder: Path) -> None:
    from stylegan_core.config import parse_params
    from tasks.stages.prepare import prepare

    if not (folder / "report.json").is_file():
        prepare(parse_params({"prepare": settings, "train": {"recipe": "pix2pix"}}), folder)


def write_drawn(model: Path, path: Path) -> None:
    """What the model makes of drawn facades, which may be published, as PNG and as JPEG."""
    drawn = np.stack([drawn_facade(seed, SIDE_PX) for seed in range(6)])
    rows = [list(drawn), list(translated(model, drawn))]
    for ending in (".png", ".jpg"):
        grid(rows, path.with_suffix(ending))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the trial data folder")
    parser.add_argument("work", type=Path, help="checkpoints, models and pictures; outside the repository")
    parser.add_argument("--only", nargs="*", default=list(RUNS), help="runs; none publishes what is measured already")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes of the recipe's settings")
    parser.add_argument("--results", type=Path, help="docs/results.json, to publish the figures")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.only) - set(RUNS)):
        parser.error(f"unknown run {unknown[0]}; the runs are: {', '.join(RUNS)}")
    data, work = arguments.data, arguments.work.absolute()
    os.environ["STYLEREEL_CACHE_DIR"] = str(work / "cache")
    from stylegan_core.recipes import recipe_class

    preset = dict(recipe_class("pix2pix").presets["two_cores"])
    changes = {key: YAML(typ="safe").load(value) for key, _, value in (item.partition("=") for item in arguments.set)}
    figures: dict[str, dict[str, float]] = {}
    for way, half in (("forward", "right"), ("back", "left")):
        runs = [name for name in arguments.only if (name == "way_back") == (way == "back")]
        if not runs:
            continue
        settings = prepare_settings(data, half, SIDE_PX)
        prepare_once(settings, work / way / "prepared")
        ids, _, known = pairs(work / way / "prepared", "train")
        val_ids, content, truth = pairs(work / way / "prepared", "validation")
        val_labels = labels(data, val_ids, SIDE_PX)
        made: dict[str, Pictures] = {}
        if way == "forward":
            made["mean_photograph"] = mean_photograph(known, len(truth))
            made["label_colours"] = label_colours(known, labels(data, ids, SIDE_PX), val_labels)
        models = {name: train(name, settings, preset | RUNS[name] | changes, work / way) for name in runs}
        made |= {name: translated(model, content) for name, model in models.items()}
        for name, pictures in made.items():
            figures[name] = measured(pictures, truth)
        if way == "back":
            commonest = np.bincount(labels(data, ids, SIDE_PX).ravel(), minlength=len(LABELS)).argmax()
            figures["way_back"]["label_agreement"] = float((nearest_label(made["way_back"]) == val_labels).mean())
            figures["commonest_label"] = {"label_agreement": float((val_labels == commonest).mean())}
        rows = [[content[i], *(pictures[i] for pictures in made.values()), truth[i]] for i in range(0, len(truth), 6)]
        grid(rows, work / f"{way}.png")
        for run in {"gan", "projected"} & set(models):
            write_drawn(models[run], work / f"drawn_{run}")
    kept = work / "figures.json"  # of runs that were asked for one by one
    figures = (json.loads(kept.read_text()) if kept.is_file() else {}) | figures
    kept.write_text(json.dumps(figures, indent=1) + "\n")
    show(figures)
    if arguments.results:
        publish(arguments.results, figures, "facades/", "python benchmarks/pix2pix_facades.py $DATA WORK")


if __name__ == "__main__":
    main()
