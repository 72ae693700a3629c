"""What loss, network, schedule and crops give in the demo's budget: `keyframe` variants on the built-in sample.

Every variant starts from params.yaml, trains for the same steps (its seconds are noted too), and is measured by the
stage evaluate on frames whose painting training never saw.

    python benchmarks/ablation.py [--only l1-only no-mixing] [--steps 4000] [--output benchmarks/ablation.json]

Results are written after each variant; a rerun skips those that are there with the same settings and steps.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "l1-only": {"adversarial_weight": 0.0},
    "no-mixing": {"mixing_taps": 0},
    "mixing-7-taps": {"mixing_taps": 7},
    "adversarial-weight-halved": {"adversarial_weight": 3.0},
    "adversarial-weight-doubled": {"adversarial_weight": 12.0},
    "window-16-px": {"discriminator_layers": 1},
    "window-70-px": {"discriminator_layers": 3},
    "constant-rate": {"lr_schedule": "constant"},
    "unpainted-judged": {"unpainted_weight": 0.5},
    "feature-matching": {"feature_matching_weight": 2.0},
    "texture-term": {"texture_weight": 20.0},
    "full-resolution": {"downsamplings": 0},
    "crops-48-px": {"crop_px": 48, "batch_size": 14},
    "crops-96-px": {"crop_px": 96, "batch_size": 4},
    "hinge": {"adversarial": "hinge"},
    "instance-norm": {"norm": "instance"},
    "fp32": {"precision": "fp32"},
}
KEPT = ("truth/", "temporal/", "speed/images_per_s")


def document(params: Mapping[str, Any], change: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """params.yaml's content with a variant's settings and number of steps."""
    changed: dict[str, Any] = json.loads(json.dumps(params))
    train = changed["train"]
    recipe = train["keyframe"]
    for key, value in change.items():
        (train["common"] if key in train["common"] else recipe)[key] = value
    start = recipe["lr_decay_start_step"] / recipe["lr_decay_end_step"]
    recipe.update(budget_steps=steps, lr_decay_start_step=round(start * steps), lr_decay_end_step=steps)
    train["recipe"] = "keyframe"
    train["common"].update(validate_every_steps=max(steps // 8, 1), limit_minutes=None)
    return changed


def train(params: Mapping[str, Any], prepared: Path, folder: Path) -> tuple[float, int]:
    """Trains into ``folder``; seconds and steps."""
    from stylegan_core.config import parse_params
    from tasks.stages.train import train_model
    from tasks.stages.training_plan import plan_trainings

    parsed = parse_params(dict(params))
    (job,) = plan_trainings(parsed, prepared).jobs
    begun_s = time.monotonic()
    card = train_model(job, prepared, folder / "models", folder / "curves")
    assert card is not None
    return time.monotonic() - begun_s, card.steps


def run(name: str, steps: int, params: Mapping[str, Any], prepared: Path, work: Path) -> dict[str, Any]:
    """One variant: train, evaluate."""
    from stylegan_core.config import parse_params
    from tasks.stages.evaluate import evaluate

    change = VARIANTS[name]
    settings = document(params, change, steps)
    took_s, done = train(settings, prepared, work)
    figures = evaluate(parse_params(settings), prepared, work / "models", work / "reports")
    return {
        "change": change,
        "steps": done,
        "train_s": round(took_s, 1),
        "figures": {k: v for k, v in figures.items() if k.startswith(KEPT)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, help="of each variant; default: the budget of params.yaml")
    parser.add_argument("--only", nargs="+", choices=sorted(VARIANTS), help="variants to run; default: all")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes that all variants get")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--output", type=Path, default=Path("benchmarks/ablation.json"))
    parser.add_argument("--pictures", type=Path, help="folder for a grid of frames of each variant")
    parser.add_argument("--record", metavar="MACHINE", help="publish in docs/results.json as measured on this machine")
    arguments = parser.parse_args()
    params = YAML(typ="safe").load(arguments.params)
    for item in arguments.set:
        key, _, value = item.partition("=")
        section = "common" if key in params["train"]["common"] else "keyframe"
        params["train"][section][key] = YAML(typ="safe").load(value)
    results = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    with tempfile.TemporaryDirectory(prefix="stylereel-ablation-") as temporary:
        os.environ["STYLEREEL_CACHE_DIR"] = f"{temporary}/cache"  # nothing is taken from an earlier run
        from stylegan_core.config import parse_params
        from stylegan_core.storage.atomic import write_bytes_atomically
        from tasks.stages.prepare import prepare

        prepared = Path(temporary) / "prepared"
        prepare(parse_params(params), prepared)
        for name in arguments.only or VARIANTS:
            done = results.get(name, {})
            steps = arguments.steps or params["train"]["keyframe"]["budget_steps"]
            if done.get("change") == VARIANTS[name] and done.get("steps") == steps:
                print(f"{name}: done already")
                continue
            work = Path(temporary) / name
            results[name] = run(name, steps, params, prepared, work)
            write_bytes_atomically(arguments.output, (json.dumps(results, indent=1) + "\n").encode())
            if arguments.pictures:
                arguments.pictures.mkdir(parents=True, exist_ok=True)
                for grid in (work / "reports").rglob("*grid.png"):
                    shutil.copy(grid, arguments.pictures / f"{name}.png")
            print(name, json.dumps(results[name]["figures"]), flush=True)
    if arguments.record:
        publish(results, params["train"]["common"]["seed"], arguments.record)


def publish(results: Mapping[str, Any], seed: int, machine: str) -> None:
    """Adds the variants' own figures, not those of the baselines, to docs/results.json."""
    from stylegan_core.report.results import record_results, results_of

    kept = ("truth/swd", "truth/detail_ratio", "truth/psnr_db", "truth/ssim", "temporal/warp_error")
    for name, result in results.items():
        figures = {key: result["figures"][key] for key in kept}
        facts = {"recipe": "keyframe", "command": f"python benchmarks/ablation.py --only {name}", "machine": machine}
        entries = results_of(figures, f"ablation/{name}/", seed=seed, date=date.today().isoformat(), **facts)
        record_results(Path("docs/results.json"), entries)


if __name__ == "__main__":
    main()
