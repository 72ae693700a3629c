"""An ``init`` project with one small shot."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any


def make_film(tool: Any, folder: Path, *, steps: int) -> Any:
    """A new project with a small shot and its painted frames, added to DVC and committed, and a checkpoint a second.

    Args:
        tool: the clone that is the installed tool.
        folder: of the project.
        steps: of the training.
    """
    from stylegan_core.data.sample.build import build_sample

    sample = tool.home / "sample"
    if not sample.exists():
        build_sample(sample, frames=8, width_px=128, height_px=96, stroke_px=3)
    folder.parent.mkdir(parents=True, exist_ok=True)
    tool.run(sys.executable, "-m", "flows", "init", str(folder))
    film = tool.at(folder)
    for kind in ("plates", "painted"):
        for picture in (sample / "shot" / kind).iterdir():
            shutil.copy2(picture, film.root / kind / "my_shot")
    film.dvc("add", "plates", "painted")
    film.run("git", "add", "plates.dvc", "painted.dvc")
    small = {name: value for name, value in tool.tiny.items() if not name.startswith("prepare.sample")}
    film.settings(
        small
        | {
            "train.keyframe.budget_steps": steps,
            "train.common.checkpoint_every_s": 1.0,
            "train.common.validate_every_steps": 100_000,
            "train.common.sample_every_steps": 100_000,
        }
    )
    return film
