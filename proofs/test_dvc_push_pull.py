"""Data and models in a second clone: after push and pull, repro recomputes nothing; experiments change no checkout."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
