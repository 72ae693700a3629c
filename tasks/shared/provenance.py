"""Provenance of models: which run, data and commit made a model, noted in the user's cache.

Stylize reads the note instead of MLflow, whose import takes seconds and which a farm's machines may not reach.
"""

from __future__ import annotations

import json
from pathlib import Path

from stylegan_core.inference.job.spec import Job
from stylegan_core.recipes.model import Model
from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.cache import cache_folder
from tasks.shared import tracking
from tasks.shared.versioning import project_root

_TAGS = {"git_commit": "commit", "git_dirty": "commit_changed", "data": "data"}


def note_model(digest: str, run_id: str) -> None:
    """Notes which run made a model; an existing note is kept.

    Args:
        digest: of the model.
        run_id: of MLflow.
    """
    if not _note(digest).is_file():
        _write(digest, run_id)


def with_origin(job: Job, model: Model) -> Job:
    """A job whose provenance also names the MLflow run, data and commit of its model, as far as they are known.

    Args:
        job: from the planner.
        model: the job's.
    """
    if not job.provenance:
        return job
    return job.model_copy(update={"provenance": {**job.provenance, **origin_of(model)}})


def origin_of(model: Model) -> dict[str, str]:
    """Any of mlflow_run, commit, commit_changed ("yes" or "no") and data (digest of what prepare wrote)."""
    digest = model.card.digest
    if not _note(digest).is_file():
        own = (project_root() / "models").resolve() in model.folder.resolve().parents
        if not own or not tracking.store_exists():
            return {}
        _write(digest, tracking.find_run_by_digest(digest))
    found: dict[str, str] = json.loads(_note(digest).read_text(encoding="utf-8"))
    return found


def _write(digest: str, run_id: str | None) -> None:
    tags = (tracking.run_tags(run_id) if run_id else None) or {}
    facts = {"mlflow_run": run_id or ""} | {name: tags.get(tag, "") for tag, name in _TAGS.items()}
    text = json.dumps({name: fact for name, fact in facts.items() if fact}, indent=1, sort_keys=True)
    write_bytes_atomically(_note(digest), text.encode())


def _note(digest: str) -> Path:
    return cache_folder("provenance") / f"{digest}.json"
