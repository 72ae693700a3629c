"""Work pool and work queue: where a project's runs wait for the project's own worker."""

from __future__ import annotations

import re
from typing import Any

from flows.services.prefect_api import PrefectApi, quoted
from tasks.shared.project_identity import ProjectIdentity, refuse_clash

POOL = "stylereel"
"""Of all projects; each has a queue of its own in it."""

_ID_TAG = "project-id:"


def claim_queue(api: PrefectApi, identity: ProjectIdentity, pool: str = POOL) -> None:
    """Creates the work pool and the project's queue, unless they are there.

    Raises:
        UsageError: the queue is that of another project.
        PrefectApiError: the server refused.
    """
    if api.get(f"/work_pools/{quoted(pool)}") is None:
        # The first worker adds the template of its type.
        api.post("/work_pools/", {"name": pool, "type": "process", "base_job_template": {}})
    path = f"/work_pools/{quoted(pool)}/queues"
    about = f"Runs of the stylereel project {identity.name}, {_ID_TAG}{identity.id}"
    queue: dict[str, Any] | None = api.get(f"{path}/{quoted(identity.name)}")
    if queue is None:
        created = api.post(path, {"name": identity.name, "description": about})
        queue = created or api.get(f"{path}/{quoted(identity.name)}")  # another process has just created it
    owner = _owner(queue or {})
    refuse_clash(identity, owner, f"the work queue {identity.name} at {api.url}")
    if owner is None:
        api.patch(f"{path}/{quoted(identity.name)}", {"description": about})


def owner_of_tags(tags: list[str]) -> str | None:
    """Id of the project that tags name; None if there is none."""
    return next((tag.removeprefix(_ID_TAG) for tag in tags if tag.startswith(_ID_TAG)), None)


def _owner(queue: dict[str, Any]) -> str | None:
    found = re.search(rf"{_ID_TAG}([0-9a-f]+)", queue.get("description") or "")
    return found[1] if found else None
