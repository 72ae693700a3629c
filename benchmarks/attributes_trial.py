"""Shared by the two benchmarks of `attributes`: training on labelled pictures, and edits with the model."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Pictures = npt.NDArray[np.float32]
"""(N, H, W, 3) in [0, 1]."""

SEED = 0
DATE = "2026-11-20"
MACHINE = "2 CPU cores, one thread"


def write_labelled(pictures: Pictures, labels: npt.NDArray[np.int64], names: Sequence[str], folder: Path) -> None:
    """Pictures and the table of their attributes, ``folder/pictures/`` and ``folder/labels.csv``."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["picture", *names])
        for index, (picture, row) in enumerate(zip(pictures, labels.tolist(), strict=True)):
            Image.fromarray(np.rint(picture * 255.0).astype(np.uint8)).save(folder / "pictures" / f"{index:04d}.png")
            table.writerow([f"{index:04d}", *row])


def train(work: Path, settings: Mapping[str, Any]) -> tuple[Path, float]:
    """Trains on what ``write_labelled`` wrote to ``work``; the model's folder and the seconds that this call took."""
    from stylegan_core.config import parse_params
    from tasks.stages.prepare import prepare
    from tasks.stages.train import train_model
    from tasks.stages.training_plan import plan_trainings

    pictures = {"source": "folder", "content": str(work / "pictures"), "labels": str(work / "labels.csv")}
    quiet = {"validate_every_steps": 100_000, "sample_every_steps": 100_000}  # nothing is held out inside training
    params = parse_params(
        {
            "prepare": {**pictures, "validation_fraction": 0.0, "test_fraction": 0.0},
            "train": {"recipe": "attributes", "common": {"seed": SEED, **quiet}, "attributes": dict(settings)},
        }
    )
    prepare(params, work / "prepared")
    (job,) = plan_trainings(params, work / "prepared").jobs
    begun_s = time.monotonic()
    train_model(job, work / "prepared", work / "models", work / "curves")
    return work / "models" / job.training.name, time.monotonic() - begun_s


def edited(model: Path, pictures: Pictures, wishes: Sequence[Sequence[float]], strength: float = 1.0) -> Pictures:
    """Each picture with its row of edits, clipped to [0, 1]."""
    import torch

    from stylegan_core.recipes.base import Conditions
    from stylegan_core.recipes.model import load_model

    recipe = load_model(model).recipe.eval()
    content = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))) * 2 - 1
    labels = torch.tensor(wishes, dtype=torch.float32)
    with torch.no_grad():
        made = [
            recipe.translate(content[i : i + 1], Conditions(labels=labels[i : i + 1], strength=strength))
            for i in range(len(content))
        ]
    unit = torch.cat(made).mul(0.5).add(0.5).clamp(0, 1)
    return np.ascontiguousarray(unit.permute(0, 2, 3, 1).numpy())


def mean_difference(pictures: Pictures, has: npt.NDArray[np.int64]) -> Pictures:
    """(H, W, 3), the mean of those that have an attribute minus the mean of the others."""
    return np.asarray(pictures[has == 1].mean(axis=0) - pictures[has == 0].mean(axis=0), np.float32)


def grid(rows: Sequence[Sequence[npt.NDArray[np.float32]]], path: Path, zoom: int = 1) -> None:
    """Rows of pictures of one size, with gaps."""
    gap_px = 4
    height, width = (side * zoom for side in rows[0][0].shape[:2])
    across = max(len(row) for row in rows)
    canvas = np.ones((len(rows) * (height + gap_px) + gap_px, across * (width + gap_px) + gap_px, 3), np.float32)
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            top, left = y * (height + gap_px) + gap_px, x * (width + gap_px) + gap_px
            enlarged = Image.fromarray(np.rint(picture * 255.0).astype(np.uint8)).resize((width, height), Image.BICUBIC)
            canvas[top : top + height, left : left + width] = np.asarray(enlarged) / 255.0
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(canvas * 255.0).astype(np.uint8)).save(path, quality=88)


def publish(figures: Mapping[str, float], prefix: str, command: str, path: Path) -> None:
    """Figures into docs/results.json; the unit is dB where the name says so."""
    from stylegan_core.report.results import Result, record_results

    facts = {"recipe": "attributes", "command": command, "seed": SEED, "machine": MACHINE, "date": DATE}
    units = {name: "dB" if name.endswith("_db") else "s" if name.endswith("_s") else "1" for name in figures}
    record_results(
        path,
        [
            Result(name=prefix + name, value=value, status="measured", unit=units[name], **facts)
            for name, value in figures.items()
        ],
    )
