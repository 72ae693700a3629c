"""What `keyframe` makes of a shot of keyframe_shots.py: prepare, train, stylize, as a project does it.

    python benchmarks/keyframe_result.py SHOT OUT [--set budget_steps=3000 ...] [--threads 2] [--seed 0]
        [--init-from MODEL]

OUT gets `frames/`, one PNG a frame, for keyframe_peers.py, and `seconds.json` with the wall time of each part.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shot", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of the recipe")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--init-from", type=Path, help="a model that the training continues, as after one more key frame"
    )
    arguments = parser.parse_args()
    out = arguments.out.absolute()
    os.environ |= {"STYLEREEL_CACHE_DIR": str(out / "cache"), "STYLEREEL_THREADS": str(arguments.threads)}
    from stylegan_core.config import parse_params
    from tasks.stages.prepare import prepare
    from tasks.stages.train import train_model
    from tasks.stages.training_plan import plan_trainings

    shot = {"name": "shot", "plates": f"{arguments.shot}/plates", "painted": f"{arguments.shot}/painted"}
    own = {key: YAML(typ="safe").load(value) for key, _, value in (item.partition("=") for item in arguments.set)}
    common: dict[str, Any] = {"seed": arguments.seed}
    if arguments.init_from:
        common["init_from"] = str(arguments.init_from.absolute())
    document: dict[str, Any] = {
        "prepare": {"source": "shots"},
        "shots": [shot],
        "train": {"recipe": "keyframe", "common": common, "keyframe": own},
    }
    params, marks = parse_params(document), [time.monotonic()]
    prepare(params, out / "prepared")
    marks.append(time.monotonic())
    for job in plan_trainings(params, out / "prepared").jobs:
        train_model(job, out / "prepared", out / "models", out / "curves")
    marks.append(time.monotonic())
    model = next((out / "models").iterdir())
    words = ["stylize", shot["plates"], str(out / "frames"), "--model", str(model), "--key-frames", shot["painted"]]
    subprocess.run([sys.executable, "-m", "flows", *words, "--no-preview"], check=True)
    marks.append(time.monotonic())
    steps = zip(("prepare", "train", "stylize"), pairwise(marks), strict=True)
    seconds = {name: round(end - begin, 1) for name, (begin, end) in steps}
    (out / "seconds.json").write_text(json.dumps(seconds, indent=1) + "\n")


if __name__ == "__main__":
    main()
