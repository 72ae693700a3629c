"""SIGKILL during training at 10 random moments, directly and through `dvc repro`: the result is that of a whole run."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from ruamel.yaml import YAML

from stylegan_core.training.persistence.checkpoint import checkpoint_step, list_checkpoints

KILLS = int(os.environ.get("STYLEREEL_PROOF_KILLS", "10"))
SEED = int(os.environ.get("STYLEREEL_PROOF_SEED", "7"))

SETTINGS = {
    "prepare.sample.frames": 12,
    "prepare.sample.width_px": 128,
    "prepare.sample.height_px": 96,
    "train.keyframe.crop_px": 32,
    "train.keyframe.batch_size": 4,
    "train.keyframe.blocks": 1,
    "train.keyframe.warmup_steps": 20,
    "train.keyframe.discriminator_steps": 2,
    "train.keyframe.r1_gamma": 1.0,
    "train.keyframe.gradient_clip": 5.0,
    "train.keyframe.lr_schedule": "cosine",
    "train.keyframe.lr_decay_start_step": 0,
    "train.keyframe.lr_decay_end_step": 1000,
    "train.common.validate_every_steps": 50,
    "train.common.sample_every_steps": 100,
    "train.common.log_every_steps": 7,
    "train.common.checkpoint_every_s": 0.2,
}
"""Phases, ratios, penalties, clipping, a schedule, bf16 where available: everything that a checkpoint must hold."""


def outputs(root: Path) -> dict[str, bytes]:
    found = {}
    for folder in ("models", "reports/train"):
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                found[path.relative_to(root).as_posix()] = path.read_bytes()
    return found


def newest_step(cache: Path) -> int:
    """Steps of the newest checkpoint; it may be deleted meanwhile."""
    steps = [0]
    for folder in (cache / "train").glob("*/"):
        steps += [checkpoint_step(path) for path in list_checkpoints(folder)]
    return max(steps)


def wait_for_step(step: int, cache: Path, running) -> bool:
    """Whether the training reaches this step before it ends."""
    while running():
        if newest_step(cache) >= step:
            return True
        time.sleep(0.002)
    return False


def moments(budget: int, rng: random.Random) -> list[tuple[int, float]]:
    """Steps to kill at, and seconds beyond: over the whole run, the first before any checkpoint."""
    steps = sorted(rng.randrange(1, budget - 5) for _ in range(KILLS - 1))
    return [(step, rng.random() * 0.3) for step in [0, *steps]]


def compare(whole: dict[str, bytes], killed: dict[str, bytes]) -> None:
    assert whole.keys() == killed.keys()
    different = [name for name in whole if whole[name] != killed[name]]
    assert not different, f"these differ from the run that was never killed: {different}"


@pytest.fixture
def prepared(make_clone):
    """``prepared(budget)``: a clone with prepared data."""

    def make(budget: int):
        clone = make_clone()
        clone.settings(SETTINGS | {"train.keyframe.budget_steps": budget})
        clone.dvc("repro", "prepare")
        return clone

    return make


def test_killed_directly(prepared, tmp_path):
    clone = prepared(600)
    rng = random.Random(SEED)
    server = multiprocessing.get_context("forkserver")
    # Imports are done once, before each fork: ten starts in half a minute.
    server.set_forkserver_preload(
        ["flows.train", "lightning.fabric", "stylegan_core.training.trainer", "torch._dynamo"]
    )

    def start(name: str):
        place = tmp_path / name
        place.mkdir(exist_ok=True)
        for link in ("params.yaml", "data"):
            if not (place / link).exists():
                (place / link).symlink_to(clone.root / link)
        code = f"""
import os
os.chdir({str(place)!r})
os.environ["STYLEREEL_CACHE_DIR"] = {str(place / "cache")!r}
from pathlib import Path
from flows.runners.local_runner import LocalRunner
from stylegan_core.config import load_params
from tasks.stages.train import mark_finished, train_model
from tasks.stages.training_plan import plan_trainings
params, data, models, reports = load_params(), Path("data/prepared"), Path("models"), Path("reports/train")
plan = plan_trainings(params, data)
for job in plan.jobs:
    train_model(job, data, models, reports)
mark_finished(plan, models, reports)
"""
        process = server.Process(target=exec, args=(code,))
        process.start()
        return process

    whole = start("whole")
    whole.join(900)
    assert whole.exitcode == 0
    killed, seen = 0, []
    cache = tmp_path / "killed" / "cache"
    for step, beyond_s in moments(600, rng):
        process = start("killed")
        if wait_for_step(step, cache, process.is_alive):
            time.sleep(beyond_s)
            process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
        seen.append(newest_step(cache))
        if process.exitcode == 0:
            break
    last = start("killed")
    last.join(900)
    assert last.exitcode == 0
    print(f"{killed} kills, at steps {seen}")
    assert killed == KILLS, "the run ended before the last kills"
    compare(outputs(tmp_path / "whole"), outputs(tmp_path / "killed"))


def train_process(parent: psutil.Process) -> psutil.Process | None:
    """The training that `dvc repro` started, if it runs."""
    try:
        for child in parent.children(recursive=True):
            if "flows.train" in child.cmdline() and child.exe() == os.path.realpath(sys.executable):
                return child
    except psutil.Error:
        pass
    return None


@pytest.mark.timeout(3600)
def test_killed_through_dvc_repro(prepared):
    clone = prepared(400)
    rng = random.Random(SEED + 1)
    clone.dvc("repro", "--single-item", "train")
    whole = outputs(clone.root)
    locked = YAML(typ="safe").load(clone.root / "dvc.lock")

    # Another cache and no run cache of the stage: everything is done again.
    cache = clone.home / "another-cache"
    environment = {**clone.environment, "STYLEREEL_CACHE_DIR": str(cache)}
    without = {**locked, "stages": {name: stage for name, stage in locked["stages"].items() if name != "train"}}
    with (clone.root / "dvc.lock").open("w") as file:
        YAML(typ="safe").dump(without, file)
    command = [sys.executable, "-m", "dvc", "repro", "--single-item", "--no-run-cache", "train"]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=clone.root,
            env=environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    killed, seen = 0, []
    for number, (step, beyond_s) in enumerate(moments(400, rng)):
        process = start()
        parent = psutil.Process(process.pid)
        if number == 0:
            time.sleep(2 + 4 * rng.random())  # while it starts
        else:
            wait_for_step(step, cache, lambda process=process: process.poll() is None)
            time.sleep(beyond_s)
        if number % 2 and (child := train_process(parent)):
            child.kill()  # the training alone, as when memory runs out: DVC lives and reports a failed stage
            process.communicate(timeout=300)
            assert process.returncode != 0
            killed += 1
        elif process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # all processes, as when the machine goes down
            process.communicate()
            killed += 1
        else:
            process.communicate()
        seen.append(newest_step(cache))
        if process.returncode == 0:
            break
    last = subprocess.run(
        command, cwd=clone.root, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert last.returncode == 0, last.stdout + last.stderr
    print(f"{killed} kills, at steps {seen}")
    assert killed == KILLS, "the run ended before the last kills"
    compare(whole, outputs(clone.root))
    assert YAML(typ="safe").load(clone.root / "dvc.lock") == locked
