"""Large frames in tiles: how much memory and time they take, and how far tiles are from the whole frame.

    python benchmarks/tiles.py memory [--network keyframe] [--size 7680x4320] [--frames 1] [--statistics shot]
    python benchmarks/tiles.py agreement [--network resnet9x64] [--size 1920x1080]

``memory`` stylizes 16-bit TIFFs in its own process, as the command does, and reports the most that it held over
what it held when its imports were done. ``agreement`` compares tiles with the whole frame, in fp32 and in bf16, and
reports the time of both. Networks: ``keyframe``, as it is by default, and ``resnet9x64``, the 9-block 64-channel
generator with instance norm of the papers (99 GFLOP at 256 px); as training begins: neither depends on the weights.
Prints one line of JSON each; ``--results docs/results.json`` records them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

MEGABYTE = 1e6
_NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "keyframe": ("keyframe", {}),
    "resnet9x64": ("cyclegan", {"channels": 64, "blocks": 9, "norm": "instance", "downsamplings": 2}),
}


def make_model(folder: Path, network: str) -> Path:
    import torch

    from stylegan_core.recipes import config_class, recipe_class
    from stylegan_core.recipes.model import save_model

    name, settings = _NETWORKS[network]
    config = config_class(name)(**settings)
    torch.manual_seed(0)
    recipe = recipe_class(name)(config)
    networks = recipe.networks.state_dict()
    inference = {k: v for k, v in networks.items() if k.split(".")[0] in recipe.inference_networks}
    save_model(
        folder,
        recipe=name,
        config=config,
        working_space="srgb",
        sample_type="uint16",
        steps=1,
        images_seen=1,
        chosen="last",
        last=inference,
        best=inference,
        networks=networks,
    )
    return folder


def photograph(width_px: int, height_px: int, number: int = 0) -> np.ndarray:
    """(H, W, 3) uint16: a photograph, enlarged, under grain of its own."""
    import cv2

    from stylegan_core.data.sample.photographs import list_photographs, load_photograph

    names = list_photographs()
    small = load_photograph(names[number % len(names)])
    factor = max(width_px / small.shape[1], height_px / small.shape[0])
    size = (max(width_px, round(small.shape[1] * factor)), max(height_px, round(small.shape[0] * factor)))
    large = cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)[:height_px, :width_px].astype(np.uint16) * 257
    grain = np.random.default_rng(number).integers(0, 1024, large.shape, np.uint16)
    return np.clip(large, 512, 64511) + grain - 512


def make_frames(folder: Path, width_px: int, height_px: int, count: int) -> None:
    import OpenImageIO as oiio  # noqa: N813

    folder.mkdir(parents=True)
    for number in range(count):
        pixels = photograph(width_px, height_px, number)
        oiio.ImageBuf(np.ascontiguousarray(pixels)).write(str(folder / f"shot.{number:04d}.tif"))


def worker(source: str, output: str, model: str, statistics: str, precision: str, back_end: str) -> None:
    """Stylizes in this process and prints what it took."""
    import re

    import cv2  # noqa: F401
    import OpenImageIO  # noqa: F401
    import torch
    import torch._dynamo  # (torch brings it in by itself at the first module that is copied)

    from flows.runners.local_runner import LocalRunner
    from stylegan_core.inference.planning.request import Request
    from stylegan_core.recipes import list_recipes, recipe_class
    from tasks.stylize.stylize import plan_request
    from tasks.stylize.work import work_on

    for name in list_recipes():
        recipe_class(name)
    torch.nn.functional.conv2d(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 3, 3))

    def held(what: str) -> int:
        found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert found is not None
        return int(found[1]) * 1024

    start, began_s = held("VmRSS"), time.perf_counter()
    request = Request.of(source, output, model=model, statistics=statistics, precision=precision, back_end=back_end)
    plan, loaded = plan_request(request)
    job = plan.job
    planned_s = time.perf_counter() - began_s
    planning = held("VmHWM")
    report = work_on(plan, loaded, LocalRunner(), preview=None)
    assert report.made == len(job.frames), report.failures()
    assert not report.failed, report.failures()
    print(
        json.dumps(
            {
                "start_mb": round(start / MEGABYTE),
                "planning_mb": round((planning - start) / MEGABYTE),
                "memory_mb": round((held("VmHWM") - start) / MEGABYTE),
                "planned_s": round(planned_s, 1),
                "worked_s": round(time.perf_counter() - began_s - planned_s, 1),
                "precision": job.settings.precision,
                "back_end": job.settings.back_end,
                "threads": torch.get_num_threads(),
            }
        )
    )


def memory(options: argparse.Namespace, width_px: int, height_px: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="stylereel-tiles-", dir=options.folder) as name:
        folder = Path(name)
        make_frames(folder / "in", width_px, height_px, options.frames)
        model = make_model(folder / "model", options.network)
        statistics = small_statistics(folder, model) if options.small_statistics else options.statistics
        arguments = [folder / "in", folder / "out", model, statistics, options.precision, options.back_end]
        ran = subprocess.run(
            [sys.executable, __file__, "worker", *map(str, arguments)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        )
        found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found | {"statistics": options.statistics, "frames": options.frames}


def small_statistics(folder: Path, model: Path) -> Path:
    """A file of statistics that are measured on small frames: quick, and no other work for the large ones."""
    from stylegan_core.inference.job.plan import write_plan
    from stylegan_core.inference.planning.request import Request
    from tasks.stylize.stylize import plan_request

    make_frames(folder / "small", 256, 256, 2)
    places = str(folder / "small"), str(folder / "small_out")
    plan, _ = plan_request(Request.of(*places, model=str(model), statistics="shot"))
    write_plan(plan)
    job = plan.job
    path = job.statistics_path(job.frames[0])
    assert path is not None, "this network has no norm layers"
    return path


def agreement(options: argparse.Namespace, width_px: int, height_px: int) -> dict[str, Any]:
    import torch

    from stylegan_core.inference.network.measure_norm_statistics import measure
    from stylegan_core.inference.network.norm_statistics import freeze, norm_layers
    from stylegan_core.inference.network.receptive_field import receptive_field
    from stylegan_core.inference.network.tiling import Tiling
    from stylegan_core.inference.network.translate import translate_batch_unit
    from stylegan_core.recipes.model import load_model

    torch.backends.cudnn.allow_tf32 = False
    with tempfile.TemporaryDirectory(prefix="stylereel-tiles-", dir=options.folder) as name:
        recipe = load_model(make_model(Path(name), options.network), device=options.device).recipe
    frame = (photograph(width_px, height_px) / np.float32(65535)).astype(np.float32)

    class Rows:
        height_px, width_px = frame.shape[:2]

        def unit(self, first: int, last: int) -> np.ndarray:
            return frame[first:last]

    if norm_layers(recipe):
        recipe = freeze(recipe, measure(recipe, [Rows]))
    field = receptive_field(recipe)
    assert field is not None
    found: dict[str, Any] = {"radius_px": field.radius_px, "grid_px": field.grid_px}
    for precision in ("fp32", "bf16"):
        results, seconds = [], []
        for tiling in (Tiling(most_whole_px=1 << 40), Tiling(most_whole_px=1, tile_bytes=options.tile_mb << 20)):
            began_s = time.perf_counter()
            results.append(
                translate_batch_unit(recipe, frame[None], precision=precision, device=options.device, tiling=tiling)
            )
            seconds.append(time.perf_counter() - began_s)
        apart = np.abs(results[1] - results[0])
        found |= {
            f"{precision}_most_apart_unit": float(apart.max()),
            f"{precision}_rms_apart_unit": float(np.sqrt(np.mean(np.square(apart, dtype=np.float64)))),
            f"{precision}_whole_s": round(seconds[0], 2),
            f"{precision}_tiled_s": round(seconds[1], 2),
        }
    return found


def main() -> None:
    if sys.argv[1:2] == ["worker"]:
        worker(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["memory", "agreement"])
    parser.add_argument("--network", choices=sorted(_NETWORKS), default="keyframe")
    parser.add_argument("--size", default=None, help="default: 7680x4320 for memory, 1920x1080 for agreement")
    parser.add_argument("--frames", type=int, default=1)
    parser.add_argument("--statistics", default="shot", help="shot, picture, or a file of an earlier run")
    parser.add_argument("--small-statistics", action="store_true", help="measure them on small frames, to save time")
    parser.add_argument("--precision", default="fp32", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--back-end", default="torch", choices=["auto", "torch", "openvino", "onnxruntime"])
    parser.add_argument("--tile-mb", type=int, default=256, help="working memory of a tile of agreement")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--folder", type=Path, help="for frames and models while it runs; default: the system's")
    parser.add_argument("--machine", default="2 CPU cores")
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    size = options.size or ("7680x4320" if options.what == "memory" else "1920x1080")
    width_px, height_px = (int(side) for side in size.split("x"))
    found = (memory if options.what == "memory" else agreement)(options, width_px, height_px)
    print(json.dumps({"what": options.what, "network": options.network, "size_px": [width_px, height_px], **found}))
    if options.results is not None:
        record(options, size, found)


def record(options: argparse.Namespace, size: str, found: dict[str, Any]) -> None:
    from stylegan_core.report.results import Result, record_results

    units = {
        "memory_mb": "MB",
        "planned_s": "s",
        "worked_s": "s",
        "fp32_most_apart_unit": "1",
        "bf16_most_apart_unit": "1",
        "bf16_rms_apart_unit": "1",
        "fp32_whole_s": "s",
        "fp32_tiled_s": "s",
    }
    command = f"python benchmarks/tiles.py {options.what} --network {options.network} --size {size}"
    facts: dict[str, Any] = {"recipe": _NETWORKS[options.network][0], "status": "measured", "seed": 0}
    facts |= {"command": command, "machine": options.machine, "date": time.strftime("%Y-%m-%d")}
    record_results(
        options.results,
        [
            Result(name=f"tiles/{options.network}_{size}/{name}", value=found[name], unit=unit, **facts)
            for name, unit in units.items()
            if name in found
        ],
    )


if __name__ == "__main__":
    main()
