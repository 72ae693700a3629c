"""Frames a second of stylize against a plain loop: load, eager fp32, save, over the same network and files.

Both run in this process, in turns, so that a busy machine slows both; the ratio is the median of turns. Ours writes
records and syncs every file to the disk, the plain loop does neither.

    python benchmarks/stylize.py [--model FOLDER] [--size 256x160] [--frames 48] [--suffix png] [--precision auto]

Prints one line of JSON; ``ratio`` is our rate over the plain one, above 1 is faster than plain.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from flows.runner import LocalRunner
from stylegan_core.data.photographs import list_photographs, load_photograph
from stylegan_core.recipes.base import Conditions
from stylegan_core.recipes.keyframe import Config, Recipe
from stylegan_core.recipes.model import Model, load_model, save_model
from tasks.stylize import Request, plan_request, work_on


def make_frames(folder: Path, width_px: int, height_px: int, count: int, suffix: str) -> None:
    """Crops of real photographs, enlarged where they are too small."""
    rng, names = np.random.default_rng(0), list_photographs()
    folder.mkdir(parents=True)
    for number in range(count):
        photograph = Image.fromarray(load_photograph(names[number % len(names)]))
        factor = max(1.1 * width_px / photograph.width, 1.1 * height_px / photograph.height)
        resized = photograph.resize((round(photograph.width * factor), round(photograph.height * factor)))
        left, top = rng.integers(0, resized.width - width_px), rng.integers(0, resized.height - height_px)
        resized.crop((left, top, left + width_px, top + height_px)).save(folder / f"shot.{number:04d}.{suffix}")


def default_model(folder: Path) -> Path:
    """The default network as training begins: speed does not depend on the weights."""
    config = Config()
    torch.manual_seed(0)
    networks = Recipe(config).networks.state_dict()
    inference = {k: v for k, v in networks.items() if k.split(".")[0] in Recipe.inference_networks}
    save_model(
        folder, recipe="keyframe", config=config, working_space="srgb", sample_type="uint8", steps=1, images_seen=1,
        chosen="last", last=inference, best=inference, networks=networks,
    )
    return folder


def plain(model: Model, source: Path, output: Path, device: str) -> None:
    """What one writes first."""
    output.mkdir(parents=True)
    recipe = model.recipe.to(device).eval()
    with torch.no_grad():
        for path in sorted(source.iterdir()):
            pixels = torch.from_numpy(np.asarray(Image.open(path).convert("RGB")).copy()).to(device)
            content = pixels.permute(2, 0, 1)[None].float() / 127.5 - 1
            result = recipe.translate(content, Conditions())[0]
            rounded = ((result + 1) * 127.5).clamp(0, 255).round().byte().permute(1, 2, 0).cpu().numpy()
            Image.fromarray(rounded).save(output / path.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="default: the default network, untrained")
    parser.add_argument("--size", default="256x160")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--suffix", default="png", choices=["png", "jpg", "tif", "webp"])
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    width_px, height_px = (int(side) for side in options.size.split("x"))
    with tempfile.TemporaryDirectory(prefix="stylereel-benchmark-") as name:
        folder = Path(name)
        source, output = folder / "in", folder / "out"
        make_frames(source, width_px, height_px, options.frames, options.suffix)
        given = options.model or default_model(folder / "model")
        asked = Request.of(source, output, model=given, precision=options.precision, device=options.device)
        job, model = plan_request(asked)
        fp32 = load_model(given, device=job.device)

        def ours() -> None:
            work_on(job, model, LocalRunner(), preview=None)

        def theirs() -> None:
            plain(fp32, source, output, job.device)

        rates: dict[str, list[float]] = {"ours": [], "plain": []}
        for turn in range(options.turns + 1):
            for which, run in (("ours", ours), ("plain", theirs)):
                shutil.rmtree(output, ignore_errors=True)
                started_s = time.perf_counter()
                run()
                if turn:  # the first is a warm-up
                    rates[which].append(options.frames / (time.perf_counter() - started_s))
    ratios = [o / p for o, p in zip(rates["ours"], rates["plain"], strict=True)]
    print(
        json.dumps(
            {
                "name": "benchmark/stylize_ratio",
                "recipe": model.card.recipe,
                "size_px": [width_px, height_px],
                "frames": options.frames,
                "suffix": options.suffix,
                "device": job.device,
                "precision": job.settings.precision,
                "threads": torch.get_num_threads(),
                "ours_frames_per_s": round(statistics.median(rates["ours"]), 2),
                "plain_frames_per_s": round(statistics.median(rates["plain"]), 2),
                "ratio": round(statistics.median(ratios), 3),
                "unit": "1",
            }
        )
    )


if __name__ == "__main__":
    main()
