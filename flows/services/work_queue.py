"""Work pool and work queues: where a project's runs wait for the project's own workers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from flows.dead_runs import QUEUE_OF_CHECKOUT
from flows.services.prefect_api import PrefectApi, quoted
from flows.services.service import folder_digest, host_name
from tasks.shared.project_identity import ProjectIdentity, refuse_clash

POOL = "stylereel"
"""Of all projects; each has queues of its own in it."""
_ON_DEMAND = "-on-demand"

_ID_TAG = "project-id:"


def trainings_queue(identity: ProjectIdentity) -> str:
    """The queue of pipelines: one runs at a time."""
    return identity.name


def on_demand_queue(identity: ProjectIdentity) -> str:
    """The queue of folders on demand and hot folders, which do not wait for the end of a training."""
    return f"{identity.name}{_ON_DEMAND}"


def checkout_suffix(root: Path) -> str:
    """What the name of a queue ends with whose runs no other checkout takes; without it, all checkouts share them."""
    return f"{QUEUE_OF_CHECKOUT}{host_name()}-{folder_digest(root)}"


def claim_queues(api: PrefectApi, identity: ProjectIdentity, pool: str = POOL, here: str = "") -> None:
    """Creates the work pool and the project's queues, unless they are there.

    Args:
        api: of the server.
        identity: of the project.
        pool: that has the queues.
        here: see ``checkout_suffix``; creates also the queues of this checkout.

    Raises:
        UsageError: a queue is that of another project.
        PrefectApiError: the server refused.
    """
    if api.get(f"/work_pools/{quoted(pool)}") is None:
        # The first worker adds the template of its type.
        api.post("/work_pools/", {"name": pool, "type": "process", "base_job_template": {}})
    shared = (trainings_queue(identity), on_demand_queue(identity))
    for name in (*shared, *(f"{queue}{here}" for queue in shared if here)):
        _claim(api, identity, name, f"/work_pools/{quoted(pool)}/queues")


def _claim(api: PrefectApi, identity: ProjectIdentity, name: str, path: str) -> None:
    about = f"Runs of the stylereel project {identity.name}, {_ID_TAG}{identity.id}"
    queue: dict[str, Any] | None = api.get(f"{path}/{quoted(name)}")
    if queue is None:
        created = api.post(path, {"name": name, "description": about})
        queue = created or api.get(f"{path}/{quoted(name)}")  # another process has just created it
    owner = _owner(queue or {})
    refuse_clash(identity, owner, f"the work queue {name} at {api.url}")
    if owner is None:
        api.patch(f"{path}/{quoted(name)}", {"description": about})


def owner_of_tags(tags: list[str]) -> str | None:
    """Id of the project that tags name; None if there is none."""
    return next((tag.removeprefix(_ID_TAG) for tag in tags if tag.startswith(_ID_TAG)), None)


def _owner(queue: dict[str, Any]) -> str | None:
    found = re.search(rf"{_ID_TAG}([0-9a-f]+)", queue.get("description") or "")
    return found[1] if found else None
