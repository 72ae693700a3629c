"""Every back end and precision over one network: pictures a second, alternating with eager fp32, and PSNR to it.

    python benchmarks/back_ends.py [--network resnet9x64|keyframe] [--size 256x256] [--turns 5] [--device cpu]
        [--back-ends torch,openvino] [--results docs/results.json]

One line of JSON for each; ``ratio`` is the median over turns of eager fp32's seconds over its own, above 1 is faster.
``first_s`` is what the first picture takes: conversion or compilation. Convolutions go without TF32 on a GPU.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import torch
from stylize import NETWORKS, untrained  # in this script's folder

from stylegan_core.inference.job.frame_settings import BackEnd, Precision
from stylegan_core.inference.network.backends.benchmark import seconds_a_picture
from stylegan_core.inference.network.backends.compile import PRECISIONS, BackEndError, runner
from stylegan_core.inference.network.precision import has_bf16, probe_unit
from stylegan_core.inference.network.translate import pad_to_network, signed_from_unit
from stylegan_core.recipes.base import Conditions
from stylegan_core.recipes.model import load_model
from stylegan_core.report.results import Result, record_results


def candidates(device: str, wanted: list[str]) -> Iterator[tuple[BackEnd, Precision]]:
    for back_end, precisions in PRECISIONS.items():
        if back_end not in wanted or (device != "cpu" and back_end in ("openvino", "onnxruntime")):
            continue
        for precision in precisions:
            if precision == "fp16" and device == "cpu":
                continue
            if precision == "bf16" and not has_bf16(device):
                continue
            yield back_end, precision


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="resnet9x64", choices=list(NETWORKS))
    parser.add_argument("--size", default="256x256")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--back-ends", default=",".join(PRECISIONS))
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    width_px, height_px = (int(side) for side in options.size.split("x"))
    torch.backends.cudnn.allow_tf32 = False
    with tempfile.TemporaryDirectory() as folder:
        recipe = load_model(untrained(Path(folder) / "model", options.network)).recipe
    recipe.to(options.device).to(memory_format=torch.channels_last)
    probe = probe_unit(max(width_px, height_px))[None, :height_px, :width_px]
    content = pad_to_network(signed_from_unit(probe, options.device))
    plain = runner(recipe, Conditions(), "torch", "fp32")
    exact = plain(content)
    results = []
    for back_end, precision in candidates(options.device, options.back_ends.split(",")):
        began_s = time.perf_counter()
        try:
            run = runner(recipe, Conditions(), back_end, precision)
            made = run(content)
        except BackEndError as error:
            print(json.dumps({"back_end": back_end, "precision": precision, "error": str(error)}), flush=True)
            continue
        first_s = time.perf_counter() - began_s
        turns = [
            (seconds_a_picture(plain, content, options.device), seconds_a_picture(run, content, options.device))
            for _ in range(options.turns)
        ]
        error = float((made - exact).double().square().mean()) / 4
        found = {
            "network": options.network,
            "size_px": [width_px, height_px],
            "back_end": back_end,
            "precision": precision,
            "threads": torch.get_num_threads(),
            "images_per_s": round(1 / statistics.median(own for _, own in turns), 3),
            "ratio": round(statistics.median(theirs / own for theirs, own in turns), 3),
            "first_s": round(first_s, 2),
            "psnr_db": round(-10 * math.log10(error), 1) if error else None,
        }
        print(json.dumps(found), flush=True)
        where = f"back_end/{options.network}_{width_px}x{height_px}/{back_end}_{precision}"
        machine = f"{platform.machine()}, {options.device}, {torch.get_num_threads()} cores"
        command = f"python benchmarks/back_ends.py --network {options.network} --size {options.size}"
        for name, unit in (("ratio", "1"), ("images_per_s", "1/s"), ("first_s", "s"), ("psnr_db", "dB")):
            if found[name] is not None:
                results.append(
                    Result(
                        recipe=NETWORKS[options.network][0],
                        name=f"{where}/{name}",
                        value=float(str(found[name])),
                        status="measured",
                        unit=unit,
                        command=command,
                        seed=0,
                        machine=machine,
                        date=date.today().isoformat(),
                    )
                )
    if options.results:
        record_results(options.results, results)


if __name__ == "__main__":
    main()
