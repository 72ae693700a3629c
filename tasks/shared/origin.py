"""Ids of what this process works for: the flow run, the commit, the version of the data."""

from __future__ import annotations

import os
from pathlib import Path

from tasks.shared.project_identity import read_identity
from tasks.shared.versioning import git_state, lock_digest, project_root

FLOW_RUN_VARIABLE = "STYLEREEL_FLOW_RUN_ID"
"""Environment variable with the id of the pipeline's flow run, for the stages that it starts."""
TASK_RUN_VARIABLE = "STYLEREEL_TASK_RUN_ID"
"""Environment variable with the id of the pipeline's task that starts a stage: its flow run is shown below it."""


def flow_run_id() -> str | None:
    """Id of the pipeline's flow run, else of the stage's own flow run, else None."""
    if parent := os.environ.get(FLOW_RUN_VARIABLE):
        return parent
    if not os.environ.get("PREFECT_API_URL"):
        return None
    from prefect.runtime import flow_run

    return str(flow_run.id) if flow_run.id else None


def task_run_id() -> str | None:
    """Id of the Prefect task that this thread works for; None outside of one."""
    if not os.environ.get("PREFECT_API_URL"):
        return None
    from prefect.runtime import task_run

    return str(task_run.id) if task_run.id else None


def origin(folder: Path | None = None) -> dict[str, str]:
    """Ids for records and for tags of MLflow runs; unknown ones are absent.

    Args:
        folder: the checkout; default: the working folder.
    Returns:
        Any of flow_run_id, git_commit, git_dirty ("yes" or "no"), dvc_lock (SHA-256 of dvc.lock before this run),
        project and project_id.
    """
    root = project_root(folder)
    state, identity = git_state(folder or Path.cwd()), read_identity(root)
    found = {
        "flow_run_id": flow_run_id(),
        "git_commit": state.commit,
        "git_dirty": ("yes" if state.dirty else "no") if state.commit else None,
        "dvc_lock": lock_digest(root),
        "project": identity.name,
        "project_id": identity.id,
    }
    return {k: v for k, v in found.items() if v}
