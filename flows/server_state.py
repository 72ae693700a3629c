"""What the Prefect server says of a project's deployments: whether it answers, and its dead and late runs."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flows.notifications import run_url
from tasks.notify.problems import one_line
from tasks.notify.runs import Outcome, RunNote
from tasks.notify.watch import ServerState
from tasks.shared.project_identity import read_identity

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun
    from prefect.client.schemas.responses import DeploymentResponse

log = logging.getLogger(__name__)

_WATCH_FLOW = "watch"
"""Of ``flows.watch_flow``, whose own runs are not watched."""
_LATE_AFTER = timedelta(minutes=15)
_LOOK_BACK = timedelta(days=1)
_OUTCOMES: dict[str, Outcome] = {"CRASHED": "crashed", "FAILED": "failed"}
_TIMEOUT_S = 10.0


def server_state(root: Path, address: str | None) -> ServerState | None:
    """Asks a server about the deployments of a project.

    Args:
        root: the project.
        address: URL of its API; None: no server is configured.

    Returns:
        None without a server.
    """
    if not address:
        return None
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    now = datetime.now(UTC)
    asked = {PREFECT_API_URL: address}  # without it, Prefect would start a server of its own
    try:
        with (
            temporary_settings(asked),
            get_client(sync_client=True, httpx_settings={"timeout": _TIMEOUT_S}) as client,
        ):
            flows = _watched_flows(client, root)
            dead = _runs(client, flows, {"type": {"any_": list(_OUTCOMES)}}, end_time={"after_": now - _LOOK_BACK})
            late = _runs(
                client, flows, {"name": {"any_": ["Late"]}}, expected_start_time={"before_": now - _LATE_AFTER}
            )
            return ServerState(dead=tuple(dead), late=tuple(late))
    except Exception as error:  # of the client: refused, timed out, 5xx while the server starts
        # Without the error, which differs from call to call: it is one problem. The address may have a password.
        log.info("the Prefect server cannot be asked: %s", type(error).__name__)
        parts = urlsplit(address)
        return ServerState(unreachable=f"no answer from {parts.hostname}:{parts.port or 443}")


def read_deployments(client: SyncPrefectClient, root: Path) -> list[DeploymentResponse]:
    """The deployments of the project, by the tag with its id, whoever has made them."""
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags

    tag = read_identity(root).tags[-1]
    return list(client.read_deployments(deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[tag]))))


def _watched_flows(client: SyncPrefectClient, root: Path) -> dict[Any, str]:
    """Deployments of the project by id, with the names of their flows."""
    found = {one.id: client.read_flow(one.flow_id).name for one in read_deployments(client, root)}
    return {deployment: flow for deployment, flow in found.items() if flow != _WATCH_FLOW}


def _runs(client: SyncPrefectClient, flows: dict[Any, str], state: dict[str, Any], **times: Any) -> list[RunNote]:
    from prefect.client.schemas.filters import FlowRunFilter

    if not flows:
        return []
    chosen = FlowRunFilter.model_validate({"deployment_id": {"any_": list(flows)}, "state": state, **times})
    runs = client.read_flow_runs(flow_run_filter=chosen, limit=100)
    return sorted((_note(run, flows[run.deployment_id]) for run in runs), key=lambda note: note.begun_s)


def _note(run: FlowRun, work: str) -> RunNote:
    state = run.state
    begun = run.start_time or run.expected_start_time or run.created
    message = (state.message or state.name) if state else ""
    return RunNote(
        id=str(run.id),
        work=work,
        url=run_url(str(run.id)),
        begun_s=begun.timestamp(),
        ended_s=run.end_time.timestamp() if run.end_time else None,
        outcome=_OUTCOMES.get(state.type.value, "running") if state else "running",
        reason=one_line(message or ""),
    )
