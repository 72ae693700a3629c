"""Data and models in a second clone: after push and pull, repro recomputes nothing; experiments change no checkout."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.shared.versioning import push, reproduce, run_dvc

SMALL_CUT = {
    "train.cut.budget_steps": 2,
    "train.cut.crop_px": 32,
    "train.cut.channels": 8,
    "train.cut.blocks": 1,
    "train.cut.discriminator_channels": 8,
    "train.cut.discriminator_layers": 1,
    "train.cut.nce_patches": 16,
}


def _digests(root: Path) -> dict[str, str]:
    files = [f for place in ("models", "out/stylized", "reports") for f in (root / place).rglob("*") if f.is_file()]
    return {str(f.relative_to(root)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def test_a_second_clone_recomputes_nothing(make_clone: Callable[..., Any]) -> None:
    first = make_clone("first")
    first.settings(first.tiny)
    first.dvc("repro")
    first.run("git", "add", "dvc.lock")
    first.run("git", "commit", "--quiet", "--message", "Results")
    first.dvc("push")
    assert (first.root.parent / "stylereel-storage").is_dir(), "the remote of .dvc/config lies beside the clones"

    second = make_clone("second", origin=first.root)
    elsewhere = {"STYLEREEL_CACHE_DIR": str(second.root.parent / "another-machine")}
    second.dvc("pull", **elsewhere)
    done = second.dvc("repro", **elsewhere)
    assert "Running stage" not in done.stdout + done.stderr
    assert "up to date" in done.stdout + done.stderr
    assert _digests(second.root) == _digests(first.root)

    # Without the records of the first machine a frame still leads to its model.
    frame = next((second.root / "out" / "stylized" / "sample").glob("*.png"))
    trail = json.loads(second.stylereel("whence", str(frame), "--json", **elsewhere).stdout)
    card = json.loads((second.root / "models" / "all" / "model.json").read_text())
    assert list(trail["models"]) == [card["digest"]]


def test_experiments_run_beside_the_checkout(make_clone: Callable[..., Any]) -> None:
    clone = make_clone()
    clone.settings({**clone.tiny, **SMALL_CUT})
    clone.dvc("repro", "train")
    model = (clone.root / "models" / "all" / "model.json").read_bytes()
    clone.dvc("exp", "run", "--temp", "--name", "with-cut", "-S", "train.recipe=cut", "train")
    assert (clone.root / "models" / "all" / "model.json").read_bytes() == model, "the checkout is left alone"
    found = json.loads(clone.dvc("exp", "show", "--json").stdout)
    assert "with-cut" in json.dumps(found)
    # Its MLflow run is in the project's store, not in the temporary checkout that is gone.
    listed = clone.run(
        "python",
        "-c",
        "from tasks.shared.tracking import client, experiment_name as name\n"
        "runs = client().search_runs([client().get_experiment_by_name(name()).experiment_id])\n"
        "print(sorted(run.data.params['recipe'] for run in runs))",
    )
    assert listed.stdout.strip().splitlines()[-1] == "['cut', 'keyframe']"


def test_a_stage_that_another_machine_has_run_is_pulled(tmp_path: Path) -> None:
    """Also without its dvc.lock, and not while the remote is away."""
    ran, storage = tmp_path / "ran", tmp_path / "storage"
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))

    def git(root: Path, *words: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words], cwd=root, check=True)

    first.mkdir()
    git(first, "init", "--quiet", "--initial-branch", "main")
    for words in (["init", "--quiet"], ["remote", "add", "--default", "storage", str(storage)]):
        run_dvc(first, words)
    (first / "in.txt").write_text("plates")
    command = f"cp in.txt out.txt && echo ran >> {ran}"
    stage = {"cmd": command, "deps": ["in.txt"], "outs": ["out.txt"]}
    (first / "dvc.yaml").write_text(json.dumps({"stages": {"train": stage}}))
    (first / ".gitignore").write_text("/out.txt\n")
    git(first, "add", "--all")
    git(first, "commit", "--quiet", "--message", "Work")
    assert reproduce(first, "train", pull=True), "nobody has pushed yet: the remote is empty"
    push(first)
    for other in (second, third):
        git(tmp_path, "clone", "--quiet", str(first), str(other))

    assert not reproduce(second, "train", pull=True)
    assert (second / "out.txt").read_text() == "plates"
    assert ran.read_text() == "ran\n", "pulled, not computed again"
    (second / "in.txt").write_text("new plates")
    assert reproduce(second, "train", pull=True)
    storage.rename(tmp_path / "away")
    storage.write_text("no folder")
    assert reproduce(third, "train", pull=True)
    assert ran.read_text() == "ran\n" * 3
