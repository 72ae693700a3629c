"""Frames a second of stylize: against the plain loop, against the bare network, and against its own processor time.

    python benchmarks/stylize.py plain    [--network resnet9x64] [--size 1920x1080] [--frames 4] [--suffix png] ...
    python benchmarks/stylize.py overlap  [--network keyframe] [--size 1920x1080] [--frames 24]

`plain` is what one writes first: load, eager fp32, save, a frame at a time. Both run in this process, in turns, so that a
busy machine slows both; the ratio is the median of turns. Ours writes records and syncs every file to the disk, the plain
loop does neither. Planning is timed apart: it happens once a job. Beside it stands the bare forward rate of the back end
that the planner chose, over the same frames in memory.

`overlap` compares the wall time of a job with what its parts take of the processor one after another: decode, forward and
encode, their processor seconds summed and shared by the cores. 1 is what a perfect overlap would reach.

Each prints one line of JSON. Speed does not depend on the weights: without --model they are what training begins with.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from flows.runner import LocalRunner
from stylegan_core.data.photographs import list_photographs, load_photograph
from stylegan_core.inference.frame_work import Decoded, decode_frame, encode_frame
from stylegan_core.inference.job import Job
from stylegan_core.inference.painting import Painting
from stylegan_core.inference.provenance import Provenance
from stylegan_core.inference.sources import Sources
from stylegan_core.inference.translate import signed_from_unit
from stylegan_core.recipes import config_class, recipe_class
from stylegan_core.recipes.base import Conditions
from stylegan_core.recipes.model import Model, load_model, save_model
from stylegan_core.report.results import Result, record_results
from tasks.stylize import Request, plan_request, work_on

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "keyframe": ("keyframe", {}),
    "resnet9x64": ("cyclegan", {"channels": 64, "blocks": 9}),
}
"""Recipe and settings: the default model, and the peers' 9-block 64-channel ResNet with instance norm."""


def make_frames(folder: Path, width_px: int, height_px: int, count: int, suffix: str) -> None:
    """Crops of real photographs, enlarged where they are too small."""
    rng, names = np.random.default_rng(0), list_photographs()
    folder.mkdir(parents=True)
    for number in range(count):
        photograph = Image.fromarray(load_photograph(names[number % len(names)]))
        factor = max(1.1 * width_px / photograph.width, 1.1 * height_px / photograph.height)
        resized = photograph.resize((round(photograph.width * factor), round(photograph.height * factor)))
        left, top = rng.integers(0, resized.width - width_px), rng.integers(0, resized.height - height_px)
        options = {"quality": 95} if suffix == "jpg" else {}
        crop = resized.crop((left, top, left + width_px, top + height_px))
        crop.save(folder / f"shot.{number:04d}.{suffix}", **options)


def untrained(folder: Path, network: str) -> Path:
    """A model as training begins."""
    name, settings = NETWORKS[network]
    config = config_class(name)(**settings)
    torch.manual_seed(0)
    recipe = recipe_class(name)
    networks = recipe(config).networks.state_dict()
    inference = {k: v for k, v in networks.items() if k.split(".")[0] in recipe.inference_networks}
    save_model(
        folder, recipe=name, config=config, working_space="srgb", sample_type="uint8", steps=1, images_seen=1,
        chosen="last", last=inference, best=inference, networks=networks,
    )  # fmt: skip
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


def planned(asked: Request, folder: Path) -> tuple[Job, Model, dict[str, float]]:
    """The job, and seconds to plan it and from there to the first frame."""
    began_s = time.perf_counter()
    job, model = plan_request(asked)
    plan_s, first = time.perf_counter() - began_s, []
    some = job.model_copy(update={"frames": job.frames[:1], "output_folder": folder / "first"})
    shutil.copytree(job.state_folder, some.state_folder) if job.state_folder.is_dir() else None
    work_on(some, model, LocalRunner(), preview=None, progress=lambda _: first.append(time.perf_counter()))
    return job, model, {"plan_s": round(plan_s, 2), "first_frame_s": round(first[0] - began_s, 2)}


def against_plain(options: argparse.Namespace, source: Path, folder: Path, given: Path) -> dict[str, Any]:
    output = folder / "out"
    job, model, start = planned(_request(options, source, output, given), folder)
    state = folder / "state"
    shutil.copytree(job.state_folder, state) if job.state_folder.is_dir() else state.mkdir()
    fp32 = load_model(given, device=job.device)

    def ours() -> None:
        shutil.copytree(state, job.state_folder)
        began_s = time.perf_counter()
        work_on(job, model, LocalRunner(), preview=None)
        rates["ours"].append(options.frames / (time.perf_counter() - began_s))

    def theirs() -> None:
        began_s = time.perf_counter()
        plain(fp32, source, output, job.device)
        rates["plain"].append(options.frames / (time.perf_counter() - began_s))

    def bare() -> None:
        began_s = time.perf_counter()
        for content in contents:
            forward(content)
        rates["bare"].append(options.frames / (time.perf_counter() - began_s))

    rates: dict[str, list[float]] = {"ours": [], "plain": [], "bare": []}
    forward, contents = bare_forward(job, model, options.frames)
    for _ in range(options.turns):
        for run in (ours, theirs, bare):
            shutil.rmtree(output, ignore_errors=True)
            run()
    median = {name: statistics.median(found) for name, found in rates.items()}
    ratios = [o / p for o, p in zip(rates["ours"], rates["plain"], strict=True)]
    shares = [o / b for o, b in zip(rates["ours"], rates["bare"], strict=True)]
    return {
        **start,
        **{f"{name}_frames_per_s": round(rate, 3) for name, rate in median.items()},
        "ratio_to_plain": round(statistics.median(ratios), 3),
        "share_of_bare_forward": round(statistics.median(shares), 3),
        "back_end": job.settings.back_end,
        "precision": job.settings.precision,
    }


def bare_forward(job: Job, model: Model, count: int) -> tuple[Callable[[torch.Tensor], object], list[torch.Tensor]]:
    """The network as the job runs it, warm, and contents in memory: one that turns for all frames."""
    painting = Painting(job, model)
    painter = painting._with_statistics(0, job.frames[0])  # the one whose bare rate is wanted
    decoded = decode_frame(job.frames[0], Sources(job), job.settings)
    content = signed_from_unit(decoded.before_unit[None], job.device)
    content = content.contiguous(memory_format=torch.channels_last)
    run = painter._run((None, None))

    def forward(picture: torch.Tensor) -> object:
        if run is not None:
            return run(picture)
        from stylegan_core.inference.translate import translate_signed

        return translate_signed(painter._recipe, picture, precision=job.settings.precision)

    forward(content)
    return forward, [content] * count


def overlap(options: argparse.Namespace, source: Path, folder: Path, given: Path) -> dict[str, Any]:
    """Wall time of the job over its parts' processor seconds by cores."""
    output = folder / "out"
    job, model, start = planned(_request(options, source, output, given), folder)
    walls, parts = [], []
    state = folder / "state"
    shutil.copytree(job.state_folder, state) if job.state_folder.is_dir() else state.mkdir()
    for turn in range(options.turns + 1):
        shutil.rmtree(output, ignore_errors=True)
        shutil.copytree(state, job.state_folder)
        began_s = time.perf_counter()
        work_on(job, model, LocalRunner(), preview=None)
        wall_s = time.perf_counter() - began_s
        part = processor_seconds(job, model, folder / "parts")
        if turn:  # the first is a warm-up
            walls.append(wall_s)
            parts.append(part)
    cores = len(os.sched_getaffinity(0))
    ratios = [wall / (sum(part.values()) / cores) for wall, part in zip(walls, parts, strict=True)]
    return {
        **start,
        "wall_s": round(statistics.median(walls), 3),
        **{f"{name}_cpu_s": round(statistics.median([p[name] for p in parts]), 3) for name in parts[0]},
        "cores": cores,
        "wall_over_cpu_by_cores": round(statistics.median(ratios), 3),
        "back_end": job.settings.back_end,
        "precision": job.settings.precision,
    }


def processor_seconds(job: Job, model: Model, folder: Path) -> dict[str, float]:
    """Each part of the work alone, one frame after another."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "temporary").mkdir(parents=True)
    sources, painting, spent = Sources(job), Painting(job, model), {"decode": 0.0, "forward": 0.0, "encode": 0.0}
    write = Provenance(job, folder / "temporary").write
    painting.paint([decode_frame(job.frames[0], sources, job.settings)])
    for frame in job.frames:
        times = [time.process_time()]
        decoded: Decoded = decode_frame(frame, sources, job.settings)
        times.append(time.process_time())
        answers = painting.answers([decoded])
        times.append(time.process_time())
        strength = painting.carried(frame)
        encode_frame(decoded, answers, folder / frame.output, job.settings, strength=strength, write=write)
        times.append(time.process_time())
        for name, began_s, ended_s in zip(spent, times, times[1:], strict=False):
            spent[name] += ended_s - began_s
    return spent


def _request(options: argparse.Namespace, source: Path, output: Path, given: Path) -> Request:
    return Request.of(
        source, output, model=given, precision=options.precision, back_end=options.back_end, device=options.device
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["plain", "overlap"])
    parser.add_argument("--network", default="keyframe", choices=list(NETWORKS))
    parser.add_argument("--model", type=Path, help="default: the network, untrained")
    parser.add_argument("--size", default="256x160")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--suffix", default="png", choices=["png", "jpg", "tif", "webp"])
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16", "fp16"])
    parser.add_argument("--back-end", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--results", type=Path, help="record the figures there, such as docs/results.json")
    options = parser.parse_args()
    width_px, height_px = (int(side) for side in options.size.split("x"))
    with tempfile.TemporaryDirectory(prefix="stylereel-benchmark-") as name:
        folder = Path(name)
        make_frames(folder / "in", width_px, height_px, options.frames, options.suffix)
        given = options.model or untrained(folder / "model", options.network)
        measure = against_plain if options.what == "plain" else overlap
        found = measure(options, folder / "in", folder, given)
    asked = {"network": options.network, "size": options.size, "frames": options.frames, "suffix": options.suffix}
    print(json.dumps({"what": options.what, **asked, "threads": torch.get_num_threads(), **found}))
    if options.results:
        record_results(options.results, _results(options, found))


def _results(options: argparse.Namespace, found: dict[str, Any]) -> list[Result]:
    where = f"{options.network}/{options.size}/{options.suffix}"
    named = ("ratio_to_plain", "share_of_bare_forward", "wall_over_cpu_by_cores", "first_frame_s")
    command = f"python benchmarks/stylize.py {options.what} --network {options.network} --size {options.size} "
    command += f"--frames {options.frames} --suffix {options.suffix} --precision {options.precision}"
    return [
        Result(
            recipe=NETWORKS[options.network][0], name=f"film/{where}/{name}", value=found[name], status="measured",
            unit="s" if name.endswith("_s") else "1", command=command, seed=0, machine="2 CPU cores",
            date=date.today().isoformat(),
        )  # fmt: skip
        for name in named
        if name in found
    ]


if __name__ == "__main__":
    main()
