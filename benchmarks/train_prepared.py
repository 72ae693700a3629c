"""Trains on data that prepare made elsewhere, and keeps its checkpoints in a folder of its own: for a lent GPU machine.

Needs torch, lightning, numpy, pandas, opencv, pydantic, ruamel.yaml, safetensors and platformdirs; prefect, mlflow and
dvc are not needed.

    python benchmarks/train_prepared.py PREPARED WORK --set recipe=cut cut.budget_steps=20000 --minutes 7

WORK gets ``cache/`` (checkpoints: the same command continues), ``models/``, ``curves/`` and ``result.json`` (steps,
images, seconds, validation). Run it until result.json says ``"stopped_by": "budget"``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML


def changed(params: dict[str, Any], settings: list[str]) -> dict[str, Any]:
    """params.yaml's content with ``key=value`` settings of its section train, keys with dots."""
    for item in settings:
        path, _, value = item.partition("=")
        section = params["train"]
        *parents, key = path.split(".")
        for parent in parents:
            section = section.setdefault(parent, {})
        section[key] = YAML(typ="safe").load(value)
    return params


def with_preset(params: dict[str, Any], preset: str | None) -> dict[str, Any]:
    """The recipe's section replaced by one of its presets, which differ from its defaults and not from params.yaml."""
    from stylegan_core.recipes import recipe_class

    if preset is not None:
        name = params["train"]["recipe"]
        presets: dict[str, dict[str, Any]] = {**recipe_class(name).presets}
        params["train"][name] = dict(presets[preset])
    return params


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared", type=Path, help="the output of prepare")
    parser.add_argument("work", type=Path, help="checkpoints and results")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings below train in params.yaml")
    parser.add_argument(
        "--preset", choices=["two_cores", "one_gpu", "paper"], help="of the recipe; default: params.yaml"
    )
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--minutes", type=float, default=7.0, help="stop after so long; the same command continues")
    arguments = parser.parse_args()
    os.environ["STYLEREEL_CACHE_DIR"] = str(arguments.work.absolute() / "cache")
    from stylegan_core.config import parse_params
    from stylegan_core.storage.atomic import write_bytes_atomically
    from tasks.stages.train import train_model
    from tasks.stages.training_plan import plan_trainings

    params = changed(YAML(typ="safe").load(arguments.params), [s for s in arguments.set if s.startswith("recipe=")])
    params = changed(with_preset(params, arguments.preset), arguments.set)
    params["train"]["common"]["limit_minutes"] = arguments.minutes
    begun_s = time.monotonic()
    results = {}
    for job in plan_trainings(parse_params(params), arguments.prepared).jobs:
        name = job.training.name
        card = train_model(job, arguments.prepared, arguments.work / "models", arguments.work / "curves")
        if card is not None:
            kept = ("recipe", "steps", "images_seen", "digest", "validation", "stopped_by")
            results[name] = {key: getattr(card, key) for key in kept} | {"seconds": time.monotonic() - begun_s}
    write_bytes_atomically(arguments.work / "result.json", (json.dumps(results, indent=1) + "\n").encode())
    print(json.dumps(results))


if __name__ == "__main__":
    main()
