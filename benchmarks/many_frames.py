"""What records, hashing and task runs cost of stylizing thousands of small frames, and how long a rerun takes.

Stylizes the same frames in turns as stylize does it, and without bookkeeping: no hashing, no record, no fsync of
folders, no check of what is done, no task runs. Files are synced and renamed in both. The share is what the bookkeeping
adds to the wall time. The rerun is the command line as a user calls it, start-up included, with everything done.

    python benchmarks/many_frames.py [--frames 10000] [--side 64] [--turns 3] [--folder FOLDER] [--results FILE]

With PREFECT_API_URL set, the chunks are task runs of that server. FOLDER decides which disk is measured.
Prints one line of JSON. 10,000 frames take about 2 minutes a turn on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import torch

from flows.runners.local_runner import LocalRunner
from flows.runners.run_stage import run_stage
from stylegan_core.data.sample.photographs import list_photographs, load_photograph
from stylegan_core.inference.output import group_commit as commit
from stylegan_core.inference.output import skip_check
from stylegan_core.inference.planning.request import Request
from stylegan_core.recipes.keyframe import Config, Recipe
from stylegan_core.recipes.model import save_model
from stylegan_core.storage.file_state import FileState
from stylegan_core.stylize_settings import StylizeSettings
from tasks.stylize.stylize import plan_request
from tasks.stylize.work import work_on


def make_frames(folder: Path, side_px: int, count: int) -> None:
    """Crops of real photographs."""
    rng, photographs = np.random.default_rng(0), [load_photograph(name) for name in list_photographs()]
    folder.mkdir(parents=True)
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        top, left = (int(rng.integers(0, side - side_px)) for side in photograph.shape[:2])
        crop = photograph[top : top + side_px, left : left + side_px, ::-1]
        cv2.imwrite(str(folder / f"shot.{number:05d}.png"), np.ascontiguousarray(crop))


def default_model(folder: Path) -> Path:
    """The default network as training begins: speed does not depend on the weights."""
    config = Config()
    torch.manual_seed(0)
    networks = Recipe(config).networks.state_dict()
    inference = {k: v for k, v in networks.items() if k.split(".")[0] in Recipe.inference_networks}
    save_model(
        folder,
        recipe="keyframe",
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


@contextmanager
def no_bookkeeping() -> Iterator[None]:
    """Stylizing without anything that serves resuming."""

    def state(path: Path) -> FileState:
        status = path.stat()
        return FileState(status.st_size, status.st_mtime_ns, "")

    def nothing(*_: Any, **__: Any) -> None:
        return None

    with ExitStack() as patched:
        for owner, name, stand_in in (
            (FileState, "of", staticmethod(state)),
            (skip_check.RecordIndex, "check", nothing),
            (commit.RecordWriter, "append", nothing),
            (commit, "fsync_folder", nothing),
        ):
            patched.enter_context(mock.patch.object(owner, name, stand_in))
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--chunk-frames", type=int, default=StylizeSettings().chunk_frames)
    parser.add_argument("--folder", type=Path, help="where to work; default: the temporary folder")
    parser.add_argument("--results", type=Path, help="record the figures there, such as docs/results.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stylereel-benchmark-", dir=options.folder) as name:
        folder = Path(name)
        source, output = folder / "in", folder / "out"
        make_frames(source, options.side, options.frames)
        model_folder = default_model(folder / "model")
        asked = Request.of(source, output, model=model_folder, chunk_frames=options.chunk_frames)
        plan, model = plan_request(asked)

        def with_records() -> int:
            return run_stage("many-frames", lambda runner: work_on(plan, model, runner, preview=None).made)

        def without() -> int:
            with no_bookkeeping():
                return work_on(plan, model, LocalRunner(), preview=None).made

        seconds: dict[str, list[float]] = {"with": [], "without": []}
        cpu_seconds: dict[str, list[float]] = {"with": [], "without": []}
        for _ in range(options.turns):
            for which, run in (("without", without), ("with", with_records)):
                shutil.rmtree(output, ignore_errors=True)
                os.sync()
                began_s, began_cpu_s = time.perf_counter(), time.process_time()
                made = run()
                assert made == options.frames, f"{made} frames were made"
                seconds[which].append(time.perf_counter() - began_s)
                cpu_seconds[which].append(time.process_time() - began_cpu_s)
        began_s, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "flows", "stylize", source, output, "--model", model_folder, "--json"]
        ran = subprocess.run(
            [*command, "--no-preview", "--chunk-frames", str(options.chunk_frames)],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent.parent,
        )
        rerun_s, after = time.perf_counter() - began_s, resource.getrusage(resource.RUSAGE_CHILDREN)
        again = json.loads(ran.stdout)
        assert (again["made"], again["skipped"]) == (0, options.frames), again
    share = statistics.median(1 - b / a for a, b in zip(seconds["with"], seconds["without"], strict=True))
    # On a busy machine the processor's time tells more than the clock, though it leaves out waiting for the disk.
    cpu_share = statistics.median(1 - b / a for a, b in zip(cpu_seconds["with"], cpu_seconds["without"], strict=True))
    found = {
        "bookkeeping_share": round(share, 4),
        "bookkeeping_cpu_share": round(cpu_share, 4),
        "rerun_s": round(rerun_s, 2),
        "rerun_cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "frames_per_s": round(options.frames / statistics.median(seconds["with"]), 1),
        "seconds": {which: [round(value, 2) for value in values] for which, values in seconds.items()},
        "cpu_seconds": {which: [round(value, 2) for value in values] for which, values in cpu_seconds.items()},
        "frames": options.frames,
        "side_px": options.side,
        "chunks": len(plan.job.chunks()),
        "task_runs": "prefect" if os.environ.get("PREFECT_API_URL") else "plain",
        "threads": torch.get_num_threads(),
    }
    print(json.dumps(found))
    if options.results:
        from stylegan_core.report.results import Result, record_results

        common = {
            "recipe": "keyframe",
            "status": "measured",
            "command": f"python benchmarks/many_frames.py --frames {options.frames} --side {options.side}",
            "seed": 0,
            "machine": f"{os.cpu_count()} CPU cores",
            "date": time.strftime("%Y-%m-%d"),
        }
        record_results(
            options.results,
            [
                Result(name=f"many_frames/{options.frames}/bookkeeping_share", value=share, unit="1", **common),
                Result(name=f"many_frames/{options.frames}/rerun_s", value=round(rerun_s, 2), unit="s", **common),
            ],
        )


if __name__ == "__main__":
    main()
