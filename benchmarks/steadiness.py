"""How steady a stylized clip is: what a model adds to the input's own warp error, with and without the measures.

    python benchmarks/steadiness.py $DATA WORK [--clips running_car car-turn tennis] [--recipe keyframe] [--steps 3000]
        [--only plain losses] [--results docs/results.json]

Each clip of $DATA/video is scaled to at most 480 px a row. Two of its frames, painted by OpenCV's oil painting, train
two models in equal steps from one seed, without and with the consistency losses; `cut` learns from all plates, and from
the paintings as a folder of its own. Each model stylizes the clip by the ordinary `stylize`, without and with the
blend:

    plain    neither        losses   trained with them        blend    stylized with it        both

`excess` is temporal/e_warp_dis less the input's own; `detail` is the Laplacian variance over that of the plain run;
both are means over the clip. WORK keeps what is trained: a rerun measures again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from ruamel.yaml import YAML

Floats = NDArray[np.float32]

WIDTH_PX = 480
STROKE_PX = 5
SEED = 0
DATE = "2026-11-20"
MACHINE = "2 CPU cores, one thread"
KEYS_UNIT = (1 / 6, 5 / 6)
CLIPS = ("running_car", "car-turn", "tennis")
STEPS = {"keyframe": 3000, "cut": 1500}
LOSSES: dict[str, Any] = {
    "noise_consistency_weight": 1.0,
    "shift_consistency_weight": 1.0,
    "warp_consistency_weight": 1.0,
}
BLEND: dict[str, Any] = {"blend_frames": 2, "cuts": "none"}
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("plain", {}),
    "losses": ("losses", {}),
    "blend": ("plain", BLEND),
    "both": ("losses", BLEND),
}
"""Of each run the model, and how it is stylized."""


def prepare_clip(frames: Path, work: Path, most: int | None = None) -> None:
    """Writes the clip's plates, the first so many, and its two painted frames; the painted ones last."""
    from stylegan_core.data.sample.painter import paint_in_oil

    paths = sorted(path for path in frames.iterdir() if path.suffix in (".jpg", ".png"))[:most]
    if not paths:
        raise SystemExit(f"{frames} holds no frames")
    keys = {round(position * (len(paths) - 1)) for position in KEYS_UNIT}
    shutil.rmtree(work / "plates", ignore_errors=True)
    (work / "plates").mkdir(parents=True)
    painted: dict[int, NDArray[np.uint8]] = {}
    for index, path in enumerate(paths):
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        if picture.width > WIDTH_PX:
            size = (WIDTH_PX, 2 * round(picture.height * WIDTH_PX / picture.width / 2))
            picture = picture.resize(size, Image.Resampling.BOX)
        picture.save(work / "plates" / f"shot.{index:04d}.png")
        if index in keys:
            painted[index] = paint_in_oil(np.asarray(picture), STROKE_PX)
    (work / "painted").mkdir()
    for index, painting in painted.items():
        Image.fromarray(painting).save(work / "painted" / f"shot.{index:04d}.png")


def train(recipe: str, settings: dict[str, Any], work: Path, name: str) -> tuple[Path, float]:
    """The model's folder, and the seconds that this call took."""
    from stylegan_core.config import parse_params
    from stylegan_core.recipes import recipe_class
    from tasks.stages.prepare import prepare
    from tasks.stages.train import train_model
    from tasks.stages.training_plan import plan_trainings

    never = {"validate_every_steps": 1_000_000, "sample_every_steps": 1_000_000}
    preset = dict(recipe_class(recipe).presets["two_cores"])
    chosen = {"recipe": recipe, "common": {"seed": SEED, **never}, recipe: {**preset, **settings}}
    prepared = work / f"prepared-{'pairs' if recipe == 'keyframe' else 'folders'}"
    plates, painted = str(work / "plates"), str(work / "painted")
    document: dict[str, Any] = {"train": chosen}
    if recipe == "keyframe":
        document["prepare"] = {"source": "shots", "plates_every": 4}
        document["shots"] = [{"name": "clip", "plates": plates, "painted": painted}]
    else:
        split = {"validation_fraction": 0.0, "test_fraction": 0.0}
        document["prepare"] = {"source": "folders", "content": plates, "style": painted, **split}
    params = parse_params(document)
    if not (prepared / "manifest.csv").exists():
        prepare(params, prepared)
    (job,) = plan_trainings(params, prepared).jobs
    begun_s = time.monotonic()
    train_model(job, prepared, work / recipe / name, work / recipe / "curves" / name)
    return work / recipe / name / job.training.name, time.monotonic() - begun_s


def stylized(work: Path, recipe: str, name: str, model: Path, render: dict[str, Any]) -> list[Floats]:
    """The clip as ``stylize`` writes it."""
    from flows.runners.local_runner import LocalRunner
    from stylegan_core.inference.planning.request import Request
    from tasks.stylize.stylize import stylize_directory

    output = work / recipe / "out" / name
    shutil.rmtree(output, ignore_errors=True)
    asked = Request.of(work / "plates", output, model=model, **render)
    stylize_directory(asked, LocalRunner(), preview=None).raise_if_failed()
    return read_frames(output)


def read_frames(folder: Path) -> list[Floats]:
    """(H, W, 3) in unit range, in the order of their names."""
    frames = []
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as opened:
            frames.append(np.asarray(opened.convert("RGB"), np.float32) / np.float32(255.0))
    return frames


def figures_of(runs: dict[str, list[Floats]], inputs: list[Floats]) -> dict[str, dict[str, float]]:
    """e_warp_dis, its excess, how far that fell (%), and detail, of each run; "input" has its own warp error alone."""
    from stylegan_core.metrics.detail import detail_ratio
    from stylegan_core.metrics.e_warp import input_flow, pair_e_warp

    flows = [input_flow(later, earlier) for later, earlier in zip(inputs[1:], inputs, strict=False)]

    def error(frames: list[Floats]) -> float:
        pairs = zip(frames[1:], frames, flows, strict=False)
        return float(np.nanmean([pair_e_warp(later, earlier, flow) for later, earlier, flow in pairs if flow]))

    own = error(inputs)
    found: dict[str, dict[str, float]] = {"input": {"e_warp_dis": own}}
    for name, frames in runs.items():
        warp_error = error(frames)
        found[name] = {"e_warp_dis": warp_error, "excess": warp_error - own}
        if "plain" in runs:
            plain = found["plain"]["excess"]
            found[name]["excess_fall_percent"] = 100.0 * (1.0 - (warp_error - own) / plain)
            found[name]["detail"] = detail_ratio(frames, runs["plain"])
    return found


def write_look(runs: dict[str, list[Floats]], inputs: list[Floats], path: Path) -> None:
    """The middle frame of the input and of each run, side by side: for inspection, never published."""
    middle = len(inputs) // 2
    row = np.concatenate([inputs[middle], *(frames[middle] for frames in runs.values())], axis=1)
    Image.fromarray(np.rint(row * 255.0).astype(np.uint8)).save(path)


def publish(path: Path, recipe: str, clip: str, steps: int, found: dict[str, dict[str, float]]) -> None:
    """Records the figures of a clip."""
    from stylegan_core.report.results import Result, record_results

    command = f"python benchmarks/steadiness.py $DATA WORK --clips {clip} --recipe {recipe} --steps {steps}"
    units = {"excess_fall_percent": "%"}
    facts: dict[str, Any] = {
        "recipe": recipe, "status": "measured", "command": command, "seed": SEED, "machine": MACHINE, "date": DATE,
    }  # fmt: skip
    record_results(
        path,
        [
            Result(name=f"steadiness/{clip}/{run}/{name}", value=value, unit=units.get(name, "1"), **facts)
            for run, values in found.items()
            for name, value in values.items()
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the trial data folder")
    parser.add_argument("work", type=Path, help="clips, models and frames; outside the repository")
    parser.add_argument("--clips", nargs="+", choices=CLIPS, default=list(CLIPS))
    parser.add_argument("--recipe", choices=sorted(STEPS), default="keyframe")
    parser.add_argument("--steps", type=int, help="of each training; default: minutes on one core")
    parser.add_argument("--only", nargs="+", choices=["plain", "losses"], default=["plain", "losses"], help="models")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes of the recipe's settings")
    parser.add_argument("--weights", type=float, help="of the three losses, instead of those here")
    parser.add_argument("--blend-frames", type=int, help="instead of those here")
    parser.add_argument("--plain-model", type=Path, help="trained elsewhere, on WORK/CLIP/prepared-...; for one clip")
    parser.add_argument("--losses-model", type=Path, help="the same with the losses")
    parser.add_argument("--most-frames", type=int, help="of a clip, for a quick look")
    parser.add_argument("--results", type=Path, help="docs/results.json, to publish the figures")
    arguments = parser.parse_args()
    work = arguments.work.absolute()
    os.environ["STYLEREEL_CACHE_DIR"] = str(work / "cache")
    recipe, steps = arguments.recipe, arguments.steps or STEPS[arguments.recipe]
    changes = {key: YAML(typ="safe").load(value) for key, _, value in (item.partition("=") for item in arguments.set)}
    losses = {name: arguments.weights or weight for name, weight in LOSSES.items()}
    settings = {"budget_steps": steps, "lr_decay_start_step": steps // 2, "lr_decay_end_step": steps, **changes}
    for clip in arguments.clips:
        folder = work / clip
        if not (folder / "painted").exists():
            prepare_clip(arguments.data / "video" / clip / "frames", folder, arguments.most_frames)
        given = {"plain": arguments.plain_model, "losses": arguments.losses_model}
        models = {name: path for name, path in given.items() if path is not None}
        for name in arguments.only if not models else ():
            asked = {**settings, **(losses if name == "losses" else {})}
            models[name], seconds = train(recipe, asked, folder, name)
            print(f"{clip} {name}: {steps} steps, {seconds:.0f} s", flush=True)
        inputs = read_frames(folder / "plates")
        runs = {
            run: stylized(folder, recipe, run, models[model], _blend(render, arguments.blend_frames))
            for run, (model, render) in RUNS.items()
            if model in models
        }
        found = figures_of(runs, inputs)
        for run, values in found.items():
            print(clip, run, json.dumps({name: round(value, 6) for name, value in values.items()}), flush=True)
        write_look(runs, inputs, folder / f"{recipe}.png")
        if arguments.results:
            publish(arguments.results, recipe, clip, steps, found)


def _blend(render: dict[str, Any], blend_frames: int | None) -> dict[str, Any]:
    return {**render, "blend_frames": blend_frames} if render and blend_frames else render


if __name__ == "__main__":
    main()
