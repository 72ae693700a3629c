"""Status of a project: services, runs, schedule and free disk, collected in a second or two."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from flows.services.definitions import WORKERS
from flows.services.deployments import NIGHTLY, find, schedule_of
from flows.services.prefect_api import PrefectApi, PrefectApiError, PrefectLoginError, known_api_url
from flows.services.service import ServiceRecord, read_record, records_folder
from flows.services.site import running, since
from stylegan_core.storage.cache import cache_folder
from tasks.project.disks import free_space
from tasks.shared.errors import UsageError
from tasks.shared.project_identity import read_identity

_PATIENCE_S = 5.0
_MOST_ENDED = 20
_MOST_NEXT = 5
_PARENT = "pipeline:"
"""Begins the tag of a stage's run with the id of its pipeline's, see ``flows.runners.run_stage``."""


@dataclass(frozen=True)
class ServiceStatus:
    """A service.

    Attributes:
        name: "server", "mlflow", "worker" or "on-demand-worker".
        up: whether it runs.
        address: URL, empty if it has none.
        since: start, ISO 8601; empty if unknown.
        log: the log file, or the command that shows the log.
        note: what to do if its state is unknown.
    """

    name: str
    up: bool
    address: str = ""
    since: str = ""
    log: str = ""
    note: str = ""


@dataclass(frozen=True)
class RunStatus:
    """A flow run of the project.

    Attributes:
        id: of the flow run.
        name: of the flow run.
        flow: such as "pipeline" or "stylize-on-demand".
        state: Prefect's, such as Running, Late, Completed, Failed or Crashed.
        start: ISO 8601; None before it has begun.
        end: ISO 8601; None before it has ended.
        expected: when it is or was to begin, ISO 8601.
        stage: stages that run now.
        reason: of its state, in Prefect's words.
    """

    id: str
    name: str
    flow: str
    state: str
    start: str | None
    end: str | None
    expected: str | None
    stage: str = ""
    reason: str = ""


@dataclass(frozen=True)
class DiskStatus:
    """Free disk of a folder, in bytes."""

    name: str
    folder: str
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class ProjectStatus:
    """All that ``stylereel status`` shows.

    Attributes:
        project: name.
        project_id: see project.yaml.
        folder: the checkout.
        api: URL of the Prefect server; empty if none is known.
        answers: whether that server answers; without it, there are no runs and no schedule.
        services: server, workers and MLflow.
        schedule: cron and time zone, empty without schedule.
        runs: those that run, those that wait, and those that have ended, the latest first.
        next: those that are to begin later, the earliest first.
        disk: free space.
    """

    project: str
    project_id: str
    folder: str
    api: str
    answers: bool
    services: list[ServiceStatus]
    schedule: str
    runs: list[RunStatus]
    next: list[RunStatus]
    disk: list[DiskStatus]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def collect(root: Path, now: datetime) -> ProjectStatus:
    """Collects the status of the project in ``root``; a server that does not answer is a part of it, no error."""
    identity, url = read_identity(root), known_api_url()
    api = PrefectApi(url, _PATIENCE_S) if url else None
    schedule, begun, coming, is_up, note = "", list[RunStatus](), list[RunStatus](), False, ""
    if api is not None and api.is_up():
        try:
            begun, coming = _runs(api, identity.tags[-1], now)
            nightly = find(api, identity, NIGHTLY)
            cron = schedule_of(nightly) if nightly else None
            schedule, is_up = f"{cron.text} {cron.timezone}" if cron else "", True
        except PrefectApiError as error:
            begun, coming = [], []
            note = str(error) if isinstance(error, PrefectLoginError) else ""
    return ProjectStatus(
        project=identity.name,
        project_id=identity.id,
        folder=str(root),
        api=url or "",
        answers=is_up,
        services=_services(root, url, is_up=is_up, note=note),
        schedule=schedule,
        runs=begun,
        next=coming,
        disk=[_disk("project", root), _disk("cache", cache_folder())],
    )


def _services(root: Path, url: str | None, *, is_up: bool, note: str) -> list[ServiceStatus]:
    own = records_folder(root)
    server = _service(records_folder(), "server")
    address = (url or "").removesuffix("/api")
    if url and server.address != address:  # PREFECT_API_URL names another one
        server = ServiceStatus("server", is_up, address, note=note)
    return [server, *(_service(own, name) for name in (*WORKERS.values(), "mlflow"))]


def _service(folder: Path, name: str) -> ServiceStatus:
    try:
        record = running(folder, name)
    except UsageError as error:
        return ServiceStatus(name, up=False, note=str(error))
    if record is None:
        before = read_record(folder, name)
        return ServiceStatus(name, up=False, address=before.address if before else "", log=before.log if before else "")
    return ServiceStatus(name, up=True, address=record.address, since=_since(record), log=record.log)


def _since(record: ServiceRecord) -> str:
    begun = since(record)
    return begun.isoformat(timespec="seconds") if begun else ""


def _runs(api: PrefectApi, tag: str, now: datetime) -> tuple[list[RunStatus], list[RunStatus]]:
    """Runs that have begun, wait or have ended; and those that are to begin later."""
    unfinished = _query(
        api, tag, ["RUNNING", "PENDING", "PAUSED", "CANCELLING", "SCHEDULED"], "EXPECTED_START_TIME_ASC"
    )
    ended = _query(api, tag, ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"], "END_TIME_DESC")
    flows = _flow_names(api, {run["flow_id"] for run in (*unfinished, *ended)})
    stages: dict[str, list[str]] = {}
    for run in unfinished:
        if (parent := _parent(run)) and run["state_type"] == "RUNNING":
            stages.setdefault(parent, []).append(flows.get(run["flow_id"], ""))
    own = [run for run in unfinished if _parent(run) is None]
    later = [run for run in own if run["state_type"] == "SCHEDULED" and _expected(run) > now]
    first = sorted((run for run in own if run not in later), key=lambda run: run["state_type"] != "RUNNING")
    last = [run for run in ended if _parent(run) is None][:_MOST_ENDED]
    return (
        [_run(run, flows, stages) for run in (*first, *last)],
        [_run(run, flows, stages) for run in later[:_MOST_NEXT]],
    )


def _query(api: PrefectApi, tag: str, states: list[str], order: str) -> list[dict[str, Any]]:
    where = {"tags": {"all_": [tag]}, "state": {"type": {"any_": states}}}
    found: list[dict[str, Any]] | None = api.post(
        "/flow_runs/filter", {"flow_runs": where, "sort": order, "limit": 200}
    )
    return found or []


def _flow_names(api: PrefectApi, ids: set[str]) -> dict[str, str]:
    if not ids:
        return {}
    found = api.post("/flows/filter", {"flows": {"id": {"any_": sorted(ids)}}, "limit": 200})
    return {flow["id"]: flow["name"] for flow in found or []}


def _parent(run: dict[str, Any]) -> str | None:
    return next((tag.removeprefix(_PARENT) for tag in run["tags"] if tag.startswith(_PARENT)), None)


def _expected(run: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(run["expected_start_time"])


def _run(run: dict[str, Any], flows: dict[str, str], stages: dict[str, list[str]]) -> RunStatus:
    state = run.get("state") or {}
    return RunStatus(
        id=run["id"],
        name=run["name"],
        flow=flows.get(run["flow_id"], ""),
        state=run.get("state_name") or state.get("name") or "",
        start=run.get("start_time"),
        end=run.get("end_time"),
        expected=run.get("expected_start_time"),
        stage=", ".join(stages.get(run["id"], [])),
        reason=" ".join((state.get("message") or "").split()),
    )


def _disk(name: str, folder: Path) -> DiskStatus:
    disk = free_space(name, folder)
    return DiskStatus(name, str(folder), disk.free_bytes, disk.total_bytes)
