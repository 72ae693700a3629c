"""pix2pix on facades: label maps in, photographs out, beside the baselines that a sceptic asks for; and the way back.

    python benchmarks/pix2pix_facades.py $DATA WORK [--only gan l1_only] [--results docs/results.json] [--picture PATH]

Trains on the pairs in $DATA/facades/train at 128 px and measures on those in val, which training never saw. Checkpoints
and models lie in WORK: the same command goes on where it was stopped, and measures again what is trained already.

    gan         label maps to photographs, the two_cores preset
    l1_only     the same without a discriminator
    way_back    photographs to label maps, a short run

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
import numpy.typing as npt
from PIL import Image
from ruamel.yaml import YAML

Pictures = npt.NDArray[np.float32]
"""(N, H, W, 3) in [0, 1]."""
Labels = npt.NDArray[np.int64]
"""(N, H, W), places in ``LABELS``."""

SIDE_PX = 128
SEED = 0
DATE = "2026-11-20"
MACHINE = "2 CPU cores, one thread"
COMMAND = "python benchmarks/pix2pix_facades.py $DATA WORK"
RUNS: dict[str, dict[str, Any]] = {
    "gan": {},
    "l1_only": {"adversarial_weight": 0.0},
    "way_back": {"budget_steps": 600, "lr_decay_start_step": 300, "lr_decay_end_step": 600},
}
# The data's label colours, as far as JPEG leaves them exact.
LABELS = {
    "background": (0, 0, 222),
    "wall": (0, 48, 255),
    "window": (0, 128, 255),
    "door": (0, 207, 255),
    "cornice": (32, 255, 224),
    "sill": (112, 255, 143),
    "balcony": (192, 255, 63),
    "blind": (255, 240, 0),
    "decoration": (255, 159, 0),
    "moulding": (255, 80, 0),
    "pillar": (255, 0, 0),
    "shop": (175, 0, 0),
}


def halves(folder: Path) -> tuple[Pictures, Pictures, Labels]:
    """Photographs (the left halves), label maps (the right ones) and the maps' labels, scaled down."""
    photographs, maps, labels = [], [], []
    size = (SIDE_PX, SIDE_PX)
    for path in sorted(folder.glob("*.jpg")):
        with Image.open(path) as opened:
            whole = opened.convert("RGB")
        middle = whole.width // 2
        photograph = whole.crop((0, 0, middle, whole.height)).resize(size, Image.Resampling.BOX)
        label_map = whole.crop((middle, 0, 2 * middle, whole.height))
        photographs.append(np.asarray(photograph, np.float32) / 255.0)
        maps.append(np.asarray(label_map.resize(size, Image.Resampling.BOX), np.float32) / 255.0)
        # Mixed colours along the edges of a label are another label's, so these are not averaged.
        labels.append(nearest_label(np.asarray(label_map.resize(size, Image.Resampling.NEAREST), np.float32) / 255.0))
    if not photographs:
        raise SystemExit(f"{folder} holds no pictures")
    return np.stack(photographs), np.stack(maps), np.stack(labels)


def nearest_label(maps: Pictures) -> Labels:
    palette = np.asarray(list(LABELS.values()), np.float32) / 255.0
    return np.argmin(np.stack([((maps - colour) ** 2).sum(axis=-1) for colour in palette]), axis=0)


def write_pictures(pictures: Pictures, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, picture in enumerate(pictures):
        Image.fromarray(np.rint(picture * 255.0).astype(np.uint8)).save(folder / f"{index:03d}.png")


def baselines(photographs: Pictures, labels: Labels, val_labels: Labels) -> dict[str, Pictures]:
    colours = np.stack([photographs[labels == k].mean(axis=0) for k in range(len(LABELS))])
    mean = np.broadcast_to(photographs.mean(axis=0), (len(val_labels), *photographs.shape[1:]))
    return {"mean_photograph": mean, "label_colours": colours[val_labels]}


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


def train(name: str, settings: Mapping[str, Any], work: Path, sides: tuple[Pictures, Pictures]) -> tuple[Path, float]:
    """Trains content to style; the model's folder and the seconds that this call took."""
    from stylegan_core.config import parse_params
    from tasks.prepare import prepare
    from tasks.train import plan_trainings, train_model

    for side, pictures in zip(("content", "style"), sides, strict=True):
        write_pictures(pictures, work / side)
    params = parse_params(
        {
            "prepare": {
                "source": "pairs",
                "content": str(work / "content"),
                "style": str(work / "style"),
                "validation_fraction": 0.0,
                "test_fraction": 0.0,
            },
            "train": {"recipe": "pix2pix", "common": {"seed": SEED}, "pix2pix": dict(settings)},
        }
    )
    prepare(params, work / "prepared")
    (job,) = plan_trainings(params, work / "prepared").jobs
    begun_s = time.monotonic()
    train_model(job, work / "prepared", work / name, work / "curves")
    return work / name / job.training.name, time.monotonic() - begun_s


def translated(model: Path, content: Pictures) -> Pictures:
    import torch

    from stylegan_core.recipes.base import Conditions
    from stylegan_core.recipes.model import load_model

    recipe = load_model(model).recipe
    with torch.no_grad():
        made = [recipe.translate(torch.from_numpy(c.transpose(2, 0, 1)[None] * 2 - 1), Conditions()) for c in content]
    unit = torch.cat(made).mul(0.5).add(0.5).clamp(0, 1)
    return np.ascontiguousarray(unit.permute(0, 2, 3, 1).numpy())


def grid(rows: Sequence[Sequence[npt.NDArray[np.float32]]], path: Path) -> None:
    gap_px = 4
    height, width = rows[0][0].shape[:2]
    canvas = np.ones((len(rows) * (height + gap_px) + gap_px, len(rows[0]) * (width + gap_px) + gap_px, 3), np.float32)
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            top, left = y * (height + gap_px) + gap_px, x * (width + gap_px) + gap_px
            canvas[top : top + height, left : left + width] = picture
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(canvas * 255.0).astype(np.uint8)).save(path, quality=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the trial data folder")
    parser.add_argument("work", type=Path, help="checkpoints, models and pictures; outside the repository")
    parser.add_argument("--only", nargs="+", choices=list(RUNS), default=list(RUNS))
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes of the recipe's settings")
    parser.add_argument("--results", type=Path, help="docs/results.json, to publish the figures")
    arguments = parser.parse_args()
    work = arguments.work.absolute()
    os.environ["STYLEREEL_CACHE_DIR"] = str(work / "cache")
    from stylegan_core.recipes import recipe_class

    preset = dict(recipe_class("pix2pix").presets["two_cores"])
    changes = {key: YAML(typ="safe").load(value) for key, _, value in (item.partition("=") for item in arguments.set)}
    photographs, maps, labels = halves(arguments.data / "facades" / "train")
    val_photographs, val_maps, val_labels = halves(arguments.data / "facades" / "val")
    made = baselines(photographs, labels, val_labels)
    figures = {name: measured(pictures, val_photographs) for name, pictures in made.items()}
    for name in arguments.only:
        settings = preset | RUNS[name] | changes
        back = name == "way_back"
        sides = (photographs, maps) if back else (maps, photographs)
        model, seconds = train(name, settings, work / ("back" if back else "forward"), sides)
        print(f"{name}: {settings['budget_steps']} steps, {seconds:.0f} s")
        made[name] = translated(model, val_photographs if back else val_maps)
        if back:
            agreement = float((nearest_label(made[name]) == val_labels).mean())
            figures[name] = measured(made[name], val_maps) | {"label_agreement": agreement}
        else:
            figures[name] = measured(made[name], val_photographs)
    for name, values in figures.items():
        print(f"{name:16}", json.dumps({key: round(value, 4) for key, value in values.items()}))
    shown = [name for name in ("label_colours", "l1_only", "gan") if name in made]
    rows = [[val_maps[i], *(made[name][i] for name in shown), val_photographs[i]] for i in range(0, 50, 7)]
    grid(rows, work / "val.png")


if __name__ == "__main__":
    main()
