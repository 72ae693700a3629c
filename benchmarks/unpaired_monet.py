"""Photographs to Monet without pairs: `cyclegan` and `cut` on monet2photo, and simple baselines.

    python benchmarks/unpaired_monet.py $DATA WORK [--recipe cut] [--minutes 6] [--results docs/results.json]
    python benchmarks/unpaired_monet.py $DATA WORK --recipe cut --model FOLDER [--results docs/results.json]

Measures translations of held-back photographs against held-back Monets: patch SWD (texture), random-feature kernel
distance (colour and texture), and SSIM to the photograph (what is kept of it). Beside them: the photographs as they
are, Reinhard's colour transfer, and one half of the held-back Monets against the other.

Without ``--model`` it first trains a few minutes of the two_cores preset, which can only show that the recipe learns.
The bar (at most 60 % of the photographs' own distances, below Reinhard's, SSIM of at least 0.4) is for a model that
was trained on a GPU. Checkpoints lie in WORK: the same command continues.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from ruamel.yaml import YAML

Floats = npt.NDArray[np.float32]
"""(H, W, 3) in [0, 1]."""

SEED = 0
DATE = "2026-11-20"
CPU = "2 CPU cores, one thread"
GPU = "1 H200 GPU"
RECIPES = ("cut", "cyclegan")
SHOWN = ("china", "coffee", "flower", "rocket")
SHOWN_WIDTH_PX = 256


def parameters(data: Path, recipe: str, changes: dict[str, Any], minutes: float) -> dict[str, Any]:
    """params.yaml's content for a short run."""
    from stylegan_core.recipes import recipe_class

    folders = {name: str(data / "monet2photo" / name) for name in ("photo", "monet")}
    return {
        "prepare": {"source": "folders", "content": folders["photo"], "style": folders["monet"]},
        "train": {
            "recipe": recipe,
            "common": {
                "seed": SEED,
                "limit_minutes": minutes,
                "validate_every_steps": 100_000,
                "sample_every_steps": 100_000,
            },
            recipe: recipe_class(recipe).presets["two_cores"] | changes,
        },
    }


def pictures_of(prepared: Path, domain: str, splits: Sequence[str]) -> list[Floats]:
    """The prepared pictures of some splits."""
    from stylegan_core.data.manifest import read_manifest
    from stylegan_core.data.store import SampleStore

    manifest, store = read_manifest(prepared / "manifest.csv"), SampleStore.open(prepared / "store")
    rows = [row for row in manifest if row.domain == domain and row.split in splits]
    return [store.unit(row.sample) for row in rows if row.sample is not None]


def train(document: dict[str, Any], prepared: Path, work: Path) -> tuple[Path, int]:
    """The model's folder and its steps."""
    from stylegan_core.config import parse_params
    from tasks.stages.train import train_model
    from tasks.stages.training_plan import plan_trainings

    (job,) = plan_trainings(parse_params(document), prepared).jobs
    recipe = job.training.settings.recipe
    card = train_model(job, prepared, work / recipe, work / "curves" / recipe)
    assert card is not None
    return work / recipe / job.training.name, card.steps


def translated(model: Path, photographs: Sequence[Floats]) -> list[Floats]:
    """What the model makes of photographs, clipped to [0, 1]."""
    from stylegan_core.inference.network.translate import translate_unit
    from stylegan_core.recipes.model import load_model

    loaded = load_model(model)
    return [np.clip(translate_unit(loaded, photograph), 0.0, 1.0) for photograph in photographs]


def distances(made: list[Floats], monets: list[Floats]) -> dict[str, float]:
    from stylegan_core.metrics.kernel_distance import random_feature_kid
    from stylegan_core.metrics.swd import patch_swd

    return {"swd": patch_swd(made, monets), "random_feature_kid": random_feature_kid(made, monets)}


def baselines(prepared: Path, photographs: list[Floats], monets: list[Floats]) -> dict[str, dict[str, float]]:
    """The photographs themselves, Reinhard's transfer to the training Monets, and Monets against Monets."""
    from stylegan_core.metrics.baselines import colour_statistics, reinhard
    from stylegan_core.metrics.ssim import ssim

    colours = colour_statistics(pictures_of(prepared, "style", ["train"]))
    recoloured = [reinhard(photograph, colours) for photograph in photographs]
    return {
        "photographs": distances(photographs, monets),
        "reinhard": distances(recoloured, monets) | {"content_ssim": ssim(recoloured, photographs)},
        "split_half": distances(monets[::2], monets[1::2]),
    }


def write_picture(model: Path, path: Path) -> None:
    """Photographs that may be published, above what the model makes of them."""
    from stylegan_core.data.sample.photographs import load_photograph

    sources = [load_photograph(name, SHOWN_WIDTH_PX).astype(np.float32) / np.float32(255.0) for name in SHOWN]
    height_px = min(len(source) for source in sources)
    middles = [source[(len(source) - height_px) // 2 :][:height_px] for source in sources]
    rows = [np.concatenate(row, axis=1) for row in (middles, translated(model, middles))]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(np.concatenate(rows) * 255.0).astype(np.uint8)).save(path, quality=90)


def publish(
    path: Path, recipe: str, figures: dict[str, dict[str, float]], *, minutes: float, on_gpu: bool, steps: int
) -> None:
    """Records the baselines, the recipe's figures, and what waits for a GPU."""
    from stylegan_core.report.results import Result, record_results

    def results(of: str, prefix: str, values: dict[str, float | None], command: str, machine: str) -> list[Result]:
        facts = {"unit": "1", "command": command, "seed": SEED, "machine": machine, "date": DATE}
        return [
            Result(recipe=of, name=prefix + k, value=v, status="pending GPU" if v is None else "measured", **facts)  # type: ignore[arg-type]
            for k, v in values.items()
        ]

    measure = f"python benchmarks/unpaired_monet.py $DATA WORK --recipe {recipe}"
    short = f"{measure} --minutes {minutes:g}"
    gpu = (
        f"python benchmarks/train_prepared.py .carry/monet2photo WORK --set recipe={recipe} --preset one_gpu "
        f"&& {measure} --model WORK/models/all"
    )
    own = dict(figures[recipe])
    fresh: list[Result] = []
    for name, values in figures.items():
        if name != recipe:
            fresh += results("", f"monet2photo/{name}/", dict(values), short, CPU)
    if on_gpu:
        fresh += results(recipe, "monet2photo/", dict(own), gpu, GPU)
    else:
        fresh += results(recipe, "monet2photo/cpu_minutes/", {**own, "steps": float(steps)}, short, CPU)
        fresh += results(recipe, "monet2photo/", dict.fromkeys(own), gpu, GPU)
    record_results(path, fresh)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the trial data folder")
    parser.add_argument("work", type=Path, help="prepared data, checkpoints, models; outside the repository")
    parser.add_argument("--recipe", choices=RECIPES, default="cut")
    parser.add_argument("--model", type=Path, help="measure this model, trained on a GPU, instead of training one")
    parser.add_argument("--minutes", type=float, default=6.0, help="of training; the budget is the preset's")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes of the recipe's settings")
    parser.add_argument("--results", type=Path, help="docs/results.json, to publish the figures")
    parser.add_argument("--picture", type=Path, help="where to write a grid of built-in photographs")
    arguments = parser.parse_args()
    work = arguments.work.absolute()
    os.environ["STYLEREEL_CACHE_DIR"] = str(work / "cache")
    from stylegan_core.config import parse_params
    from stylegan_core.metrics.ssim import ssim
    from tasks.stages.prepare import prepare

    changes = {key: YAML(typ="safe").load(value) for key, _, value in (item.partition("=") for item in arguments.set)}
    document = parameters(arguments.data, arguments.recipe, changes, arguments.minutes)
    prepared = work / "prepared"
    prepare(parse_params(document), prepared)
    model, steps, begun_s = arguments.model, 0, time.monotonic()
    if model is None:
        model, steps = train(document, prepared, work)
        print(f"{arguments.recipe}: {steps} steps, {time.monotonic() - begun_s:.0f} s in this call", flush=True)
    # Nothing was chosen by validation pictures, the last weights are used: they are held back as well as test's.
    photographs, monets = (pictures_of(prepared, d, ["validation", "test"]) for d in ("content", "style"))
    made = translated(model, photographs)
    figures = baselines(prepared, photographs, monets)
    figures[arguments.recipe] = distances(made, monets) | {"content_ssim": ssim(made, photographs)}
    print(f"{len(photographs)} photographs, {len(monets)} Monets held back")
    for name, values in figures.items():
        print(f"{name:12}", json.dumps({key: round(value, 5) for key, value in values.items()}))
    rows = [np.concatenate([photographs[i], made[i], monets[i]], axis=1) for i in range(0, 24, 6)]
    Image.fromarray(np.rint(np.concatenate(rows) * 255.0).astype(np.uint8)).save(work / f"{arguments.recipe}.png")
    write_picture(model, arguments.picture or work / f"{arguments.recipe}_photographs.png")
    if arguments.results:
        on_gpu = arguments.model is not None
        publish(arguments.results, arguments.recipe, figures, minutes=arguments.minutes, on_gpu=on_gpu, steps=steps)


if __name__ == "__main__":
    main()
