"""Frames a second of stylize against a plain loop: load, eager fp32, save, over the same network and files.

Both run in this process, in turns, so that a busy machine slows both; the ratio is the median of turns. Ours writes
records and syncs every file to the disk, the plain loop does neither. Beside it: our rate over the bare rate of the
network in the chosen back end; where that is torch, wall time over the CPU seconds a core that the run spent in decode,
forward and encode; and the seconds to the first frame, in its own process, with what a machine remembers of a
model and without.

    python benchmarks/stylize.py [--network keyframe|resnet9x64] [--size 256x160] [--frames 48] [--suffix png]
        [--precision auto] [--back-end auto] [--results docs/results.json]

Prints one line of JSON; ``ratio`` is our rate over the plain one, above 1 is faster than plain.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image

from flows.runners.local_runner import LocalRunner
from stylegan_core.data.sample.photographs import list_photographs, load_photograph
from stylegan_core.inference.job.plan import Plan
from stylegan_core.inference.network.backends.benchmark import seconds_a_picture
from stylegan_core.inference.network.backends.compile import runner
from stylegan_core.inference.network.translate import pad_to_network, signed_from_unit
from stylegan_core.inference.pipeline import encode_stage
from stylegan_core.inference.planning.request import Request
from stylegan_core.inference.planning.steps.backend import with_first_statistics
from stylegan_core.inference.reading.decode import FrameDecoder
from stylegan_core.inference.reading.frame_reader import FrameReader
from stylegan_core.inference.render import conditioned_model
from stylegan_core.recipes import config_class, recipe_class
from stylegan_core.recipes.base import Conditions
from stylegan_core.recipes.model import Model, load_model, save_model
from stylegan_core.report.results import Result, record_results
from tasks.stylize.stylize import plan_request
from tasks.stylize.work import work_on

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "keyframe": ("keyframe", {}),
    "resnet9x64": ("cyclegan", {}),  # the paper's: 9 blocks, 64 channels, instance norm
    "tiny": ("cyclegan", {"channels": 4, "blocks": 1}),
}


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


def untrained(folder: Path, network: str) -> Path:
    """A network as training begins: speed does not depend on the weights."""
    name, settings = NETWORKS[network]
    config, kind = config_class(name)(**settings), recipe_class(name)
    torch.manual_seed(0)
    networks = kind(config).networks.state_dict()
    inference = {k: v for k, v in networks.items() if k.split(".")[0] in kind.inference_networks}
    save_model(
        folder,
        recipe=name,
        config=config,
        working_space="srgb",
        sample_type="uint8",
        steps=1,
        images_seen=1,
        chosen="last",
        last=inference,
        best=inference,
        networks=networks,
    )
    return folder


def plain(model: Model, source: Path, output: Path, device: str) -> None:
    """The plain loop."""
    output.mkdir(parents=True)
    recipe = model.recipe.to(device).eval()
    with torch.no_grad():
        for path in sorted(source.iterdir()):
            pixels = torch.from_numpy(np.asarray(Image.open(path).convert("RGB")).copy()).to(device)
            content = pixels.permute(2, 0, 1)[None].float() / 127.5 - 1
            result = recipe.translate(content, Conditions())[0]
            rounded = ((result + 1) * 127.5).clamp(0, 255).round().byte().permute(1, 2, 0).cpu().numpy()
            Image.fromarray(rounded).save(output / path.name)


def forget(output: Path) -> None:
    """Removes frames and records; what the planner measured stays."""
    for path in output.glob("shot.*"):
        path.unlink()
    for path in (output / ".stylereel").rglob("records-*.jsonl"):
        path.unlink()


@contextmanager
def cpu_seconds() -> Iterator[dict[str, float]]:
    """CPU seconds of decode, forward and encode within: of their own threads, since torch runs a picture in one."""
    spent, lock = dict.fromkeys(("decode", "forward", "encode"), 0.0), threading.Lock()

    def counted(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            began_s = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                with lock:
                    spent[stage] += time.thread_time() - began_s

        return run

    places = (("decode", FrameDecoder, "decode"), ("forward", conditioned_model, "translate_batch_unit"))
    places += (("encode", encode_stage, "encode_frame"),)
    with ExitStack() as patched:
        for stage, module, name in places:
            patched.enter_context(patch.object(module, name, counted(stage, getattr(module, name))))
        yield spent


def bare_seconds(plan: Plan, model: Model) -> float:
    """Wall seconds a picture of the network alone, as a job calls it."""
    job = plan.job
    decoded = FrameReader(job).load(job.frames[0])
    recipe = with_first_statistics(plan, model).recipe.to(job.device).to(memory_format=torch.channels_last).eval()
    run = runner(recipe, Conditions(), job.settings.back_end, job.settings.precision)
    content = pad_to_network(signed_from_unit(decoded.before_unit[None], job.device))
    seconds_a_picture(run, content, job.device)
    times = [seconds_a_picture(run, content, job.device) for _ in range(max(3, min(16, len(job.frames))))]
    return statistics.median(times)


def seconds_to_first_frame(asked: list[str]) -> dict[str, float]:
    """From a call after all imports to the first file, twice: a machine that never saw the model, and that did."""
    with tempfile.TemporaryDirectory(prefix="stylereel-cache-") as cache:
        found = {}
        for name in ("new", "known"):
            call = [sys.executable, __file__, "--first-frame", asked[0], f"{asked[1]}-{name}", *asked[2:]]
            made = subprocess.run(
                call,
                check=True,
                capture_output=True,
                text=True,
                env=os.environ | {"STYLEREEL_CACHE_DIR": cache},
            )
            found[name] = round(float(made.stdout.strip().splitlines()[-1]), 2)
    return found


def first_frame(source: Path, output: Path, model: Path, render: dict[str, str], device: str) -> None:
    """Prints the seconds."""
    began_s = time.perf_counter()
    first_s: list[float] = []
    asked = Request.of(source, output, model=model, device=device, limit=1, **render)
    plan, loaded = plan_request(asked)
    work_on(plan, loaded, LocalRunner(), preview=None, progress=lambda _: first_s.append(time.perf_counter() - began_s))
    print(first_s[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="keyframe", choices=list(NETWORKS))
    parser.add_argument("--model", type=Path, help="instead of an untrained network")
    parser.add_argument("--size", default="256x160")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--suffix", default="png", choices=["png", "jpg", "tif", "webp"])
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--back-end", default="auto")
    parser.add_argument("--statistics", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--first-frame", nargs=3, type=Path, metavar=("IN", "OUT", "MODEL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    render = {"precision": options.precision, "back_end": options.back_end, "statistics": options.statistics}
    if options.first_frame:
        first_frame(*options.first_frame, render, options.device)
        return
    found = measured(options, render)
    print(json.dumps(found))
    if options.results:
        record(options, found)


def measured(options: argparse.Namespace, render: dict[str, str]) -> dict[str, Any]:
    """All figures of one network, size and format."""
    width_px, height_px = (int(side) for side in options.size.split("x"))
    with tempfile.TemporaryDirectory(prefix="stylereel-benchmark-") as name:
        folder = Path(name)
        source, output = folder / "in", folder / "out"
        make_frames(source, width_px, height_px, options.frames, options.suffix)
        given = options.model or untrained(folder / "model", options.network)
        asked = Request.of(source, output, model=given, device=options.device, **render)
        plan, model = plan_request(asked)
        job = plan.job
        first = {}
        if options.device in ("auto", "cpu"):  # before this process fills the memory
            call = [str(source), str(folder / "first"), str(given)]
            extra = [f"--{key.replace('_', '-')}={value}" for key, value in render.items()]
            first = seconds_to_first_frame([*call, *extra, f"--device={job.device}"])
        fp32 = load_model(given, device=job.device)

        def ours() -> None:
            work_on(plan, model, LocalRunner(), preview=None)

        def theirs() -> None:
            plain(fp32, source, folder / "plain", job.device)

        rates: dict[str, list[float]] = {"ours": [], "plain": []}
        spent: list[dict[str, float]] = []
        for turn in range(options.turns + 1):
            for which, run in (("ours", ours), ("plain", theirs)):
                forget(output)
                shutil.rmtree(folder / "plain", ignore_errors=True)
                with cpu_seconds() as cpu_s:
                    started_s = time.perf_counter()
                    run()
                    seconds = time.perf_counter() - started_s
                if turn:  # the first is a warm-up
                    rates[which].append(options.frames / seconds)
                    spent += [cpu_s] if which == "ours" else []
        bare_s = bare_seconds(plan, model)
    ratios = [o / p for o, p in zip(rates["ours"], rates["plain"], strict=True)]
    cores, ours_rate = torch.get_num_threads(), statistics.median(rates["ours"])
    found = {
        "network": options.network if not options.model else model.card.recipe,
        "size_px": [width_px, height_px],
        "frames": options.frames,
        "suffix": options.suffix,
        "device": job.device,
        "back_end": job.settings.back_end,
        "precision": job.settings.precision,
        "threads": cores,
        "ours_frames_per_s": round(ours_rate, 3),
        "plain_frames_per_s": round(statistics.median(rates["plain"]), 3),
        "ratio": round(statistics.median(ratios), 3),
        "of_bare_forward": round(ours_rate * bare_s, 3),
        "s_to_first_frame": first,
    }
    if (job.settings.back_end, job.device) == ("torch", "cpu"):
        found["cpu_s_a_frame"] = {stage: round(spent[-1][stage] / options.frames, 5) for stage in spent[-1]}
        walls_s = [options.frames / rate for rate in rates["ours"]]
        overlap = [wall_s * cores / sum(cpu_s.values()) for wall_s, cpu_s in zip(walls_s, spent, strict=True)]
        found["wall_over_cpu_a_core"] = round(statistics.median(overlap), 3)
    return found


def record(options: argparse.Namespace, found: dict[str, Any]) -> None:
    """Into docs/results.json."""
    width_px, height_px = found["size_px"]
    where = f"{found['network']}_{width_px}x{height_px}_{found['suffix']}"
    command = (
        f"python benchmarks/stylize.py --network {options.network} --size {options.size} --frames {options.frames} "
        f"--suffix {options.suffix} --turns {options.turns}"
    )
    for name in ("precision", "back_end", "statistics"):
        if getattr(options, name) != "auto":
            command += f" --{name.replace('_', '-')} {getattr(options, name)}"
    machine = f"{platform.machine()}, {found['threads']} cores, {found['back_end']} {found['precision']}"
    values = {
        "ratio": (found["ratio"], "1"),
        "of_bare_forward": (found["of_bare_forward"], "1"),
        "images_per_s": (found["ours_frames_per_s"], "1/s"),
    }
    if "wall_over_cpu_a_core" in found:
        values["wall_over_cpu_a_core"] = (found["wall_over_cpu_a_core"], "1")
    if first := found["s_to_first_frame"]:
        values |= {"first_frame_new": (first["new"], "s"), "first_frame": (first["known"], "s")}
    recipe = NETWORKS[options.network][0]
    record_results(
        options.results,
        [
            Result(
                recipe=recipe,
                name=f"stylize/{where}/{name}",
                value=value,
                status="measured",
                unit=unit,
                command=command,
                seed=0,
                machine=machine,
                date=date.today().isoformat(),
            )
            for name, (value, unit) in values.items()
        ],
    )


if __name__ == "__main__":
    main()
