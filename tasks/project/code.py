"""Code of each stage, and its digest: a stage is out of date when the code that it runs has changed."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from tasks.shared.versioning import STAGES

STAGE_CODE: dict[str, tuple[str, ...]] = {
    "prepare": (
        "flows/prepare.py",
        "flows/progress.py",
        "tasks/stages/prepare.py",
        "stylegan_core/config.py",
        "stylegan_core/data",
        "stylegan_core/frames",
        "stylegan_core/storage",
    ),
    "train": (
        "flows/train.py",
        "tasks/stages/train.py",
        "tasks/stages/training_plan.py",
        "stylegan_core/config.py",
        "stylegan_core/data",
        "stylegan_core/features",
        "stylegan_core/frames/colour/srgb.py",
        "stylegan_core/losses",
        "stylegan_core/metrics",
        "stylegan_core/motion",
        "stylegan_core/networks",
        "stylegan_core/recipes",
        "stylegan_core/training",
    ),
    "evaluate": (
        "flows/evaluate.py",
        "flows/progress.py",
        "tasks/stages/evaluate.py",
        "tasks/stages/evaluator.py",
        "tasks/stages/evaluator_guides.py",
        "tasks/stages/figures_files.py",
        "stylegan_core/config.py",
        "stylegan_core/data",
        "stylegan_core/features",
        "stylegan_core/frames",
        "stylegan_core/inference",
        "stylegan_core/metrics",
        "stylegan_core/motion",
        "stylegan_core/networks",
        "stylegan_core/recipes",
        "stylegan_core/report/panels.py",
        "stylegan_core/storage",
    ),
    "stylize": (
        "flows/stylize.py",
        "tasks/stylize/chunk.py",
        "tasks/stylize/chunks.py",
        "tasks/stylize/open_job.py",
        "tasks/stylize/report.py",
        "tasks/stages/figures_files.py",
        "tasks/stages/review.py",
        "tasks/stages/review_inputs.py",
        "tasks/stages/review_shots.py",
        "tasks/stages/stage_reports.py",
        "tasks/stylize/stylize.py",
        "tasks/stylize/work.py",
        "tasks/stages/stylize.py",
        "tasks/stages/stylize_items.py",
        "tasks/stages/stylize_stores.py",
        "stylegan_core/config.py",
        "stylegan_core/data",
        "stylegan_core/frames",
        "stylegan_core/inference",
        "stylegan_core/motion",
        "stylegan_core/networks",
        "stylegan_core/recipes",
        "stylegan_core/report",
        "stylegan_core/storage",
    ),
}
"""Code of each stage, relative to the repository: the same paths as the ``deps`` in dvc.yaml."""


def code_root() -> Path:
    """The folder that holds the packages flows, tasks and stylegan_core."""
    spec = find_spec("stylegan_core")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations))).parent


def code_files(paths: tuple[str, ...], root: Path | None = None) -> list[Path]:
    """Source files below ``paths``, sorted; a path that does not exist has none."""
    base = root or code_root()
    found: set[Path] = set()
    for path in paths:
        place = base / path
        if place.is_dir():
            found.update(f for f in place.rglob("*") if f.is_file() and "__pycache__" not in f.parts)
        elif place.is_file():
            found.add(place)
    return sorted(found)


def code_digest(stage: str, root: Path | None = None) -> str:
    """SHA-256 over the names and contents of the source files that ``stage`` runs."""
    if stage not in STAGES:
        raise ValueError(f"unknown stage {stage!r}; the stages are: {', '.join(STAGES)}")
    base = root or code_root()
    digest = hashlib.sha256()
    for file in code_files(STAGE_CODE[stage], base):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(base).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
