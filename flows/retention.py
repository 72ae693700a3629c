"""Retention: removes old flow runs of the project from Prefect's server, and old runs from MLflow's store.

Prefect's server has a vacuum of its own (``PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED``). It removes old events, and
what deleted runs have left behind, and ``stylereel up`` lets it do both. Its vacuum of flow runs takes those of
everybody on the server, so the runs of this project are chosen here, by the project's tag.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.retention import mlflow_runs
from tasks.shared.project_identity import read_identity
from tasks.shared.shown_url import shown_url

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.filters import FlowRunFilter

log = logging.getLogger(__name__)

_FINAL = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")
_BATCH = 50
"""The most that the server deletes in one request."""
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class OldFlowRuns:
    """The project's runs on a Prefect server that ended long ago.

    Attributes:
        number: of runs, those of stages included.
        oldest: when the first of them ended; None if there is none.
    """

    number: int
    oldest: datetime | None


def apply_retention(root: Path, keep_days: float, api_url: str | None) -> None:
    """Removes old runs from Prefect and MLflow; what fails is logged as a warning and tried again the next time.

    Args:
        root: the project, or the checkout of its scheduled runs.
        keep_days: age since the end of a run; 0 keeps all.
        api_url: of the Prefect server; None if there is none.
    """
    if keep_days <= 0:
        return
    try:
        if api_url and (removed := remove_flow_runs(root, keep_days, api_url)):
            log.info("Prefect: %d runs that ended more than %g days ago were removed", removed, keep_days)
    except Exception as error:  # of the client: refused, timed out, 5xx
        log.warning("Prefect: old runs were not removed: %s", shown_url(str(error)))
    try:
        found = mlflow_runs.plan(root, older_than_days=keep_days, now_s=time.time())
        left = mlflow_runs.carry_out(found, root)
        if found.old:
            log.info("MLflow: %d runs that nothing uses were put into the trash. %s", len(found.old), left)
    except Exception as error:  # of the store, or a file that cannot be read
        log.warning("MLflow: old runs were not removed: %s", shown_url(str(error)))


def old_flow_runs(root: Path, keep_days: float, api_url: str) -> OldFlowRuns:
    """Counts the runs that ``remove_flow_runs`` would remove; see there."""
    with _client(api_url) as client:
        chosen = _chosen(root, keep_days).model_dump(mode="json", exclude_none=True)
        number = int(client.request("POST", "/flow_runs/count", json={"flow_runs": chosen}).json())
        first = client.read_flow_runs(flow_run_filter=_chosen(root, keep_days), sort=_sort(), limit=1)
        return OldFlowRuns(number, first[0].end_time if first else None)


def remove_flow_runs(root: Path, keep_days: float, api_url: str) -> int:
    """Removes the runs of the project that ended more than ``keep_days`` days ago, with logs, tasks and artifacts.

    Runs that have not ended, deployments, schedules and the runs of other projects stay.

    Args:
        root: the project, or the checkout of its scheduled runs.
        keep_days: age since the end of a run.
        api_url: of the Prefect server.

    Returns:
        The number of runs.

    Raises:
        httpx.HTTPError: the server failed.
    """
    removed = 0
    chosen = _chosen(root, keep_days)
    with _client(api_url) as client:
        while runs := client.read_flow_runs(flow_run_filter=chosen, sort=_sort(), limit=_BATCH):
            ids = [run.id for run in runs]
            _remove_artifacts(client, ids)
            wanted = {"id": {"any_": [str(each) for each in ids]}}
            body = {"flow_runs": chosen.model_dump(mode="json", exclude_none=True) | wanted, "limit": _BATCH}
            deleted = client.request("POST", "/flow_runs/bulk_delete", json=body).json()["deleted"]
            if not deleted:  # another process has just removed them
                break
            removed += len(deleted)
    return removed


def _remove_artifacts(client: SyncPrefectClient, run_ids: list[Any]) -> None:
    """Prefect removes a run's logs with it, but its artifacts only by the server's vacuum, if that is enabled."""
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    of_runs = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=run_ids))
    while artifacts := client.read_artifacts(artifact_filter=of_runs, limit=_BATCH):
        for artifact in artifacts:
            client.delete_artifact(artifact.id)


def _chosen(root: Path, keep_days: float) -> FlowRunFilter:
    from prefect.client.schemas.filters import FlowRunFilter

    return FlowRunFilter.model_validate(
        {
            "tags": {"all_": [f"project-id:{read_identity(root).id}"]},
            "state": {"type": {"any_": list(_FINAL)}},
            "end_time": {"before_": datetime.now(UTC) - timedelta(days=keep_days)},
        }
    )


def _sort() -> Any:
    from prefect.client.schemas.sorting import FlowRunSort

    return FlowRunSort.START_TIME_ASC


def _client(api_url: str) -> SyncPrefectClient:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: api_url}):
        return get_client(sync_client=True, httpx_settings={"timeout": _TIMEOUT_S})
