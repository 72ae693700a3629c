"""Starts and stops the services of one machine: ``stylereel up`` and ``stylereel down``."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil
from filelock import FileLock

from flows.services import definitions, ports
from flows.services.deployments import NIGHTLY, STYLIZE, refuse_name_clash
from flows.services.prefect_api import VARIABLE, PrefectApi, answers, known_api_url
from flows.services.processes import ProcessManager
from flows.services.service import (
    Service,
    ServiceManager,
    ServiceRecord,
    read_record,
    records_folder,
    remove_record,
    worker_name,
    write_record,
)
from flows.services.systemd import SystemdManager, has_systemd
from flows.services.work_queue import POOL, claim_queues
from tasks.shared.errors import InputsFailedError, UsageError
from tasks.shared.project_identity import read_identity
from tasks.shared.shown_url import shown_url
from tasks.shared.tracking import tracking_uri

Say = Callable[[str], None]

_UP_WITHIN_S = 300.0
_POLL_S = 0.5
_PROJECT_SERVICES = (*definitions.WORKERS.values(), "mlflow")
"""In the order in which they are stopped."""


def up(root: Path, port: int | None, say: Say) -> list[ServiceRecord]:
    """Starts what does not run yet, and returns when everything answers.

    Args:
        root: the project.
        port: of the Prefect server; None: that of the last time, else 4200, or the next free one.
        say: shows a line to the user.

    Returns:
        The records of the services, with addresses and logs: Prefect server, MLflow server, workers.

    Raises:
        UsageError: another project on the server has the same name, or a port is taken.
        InputsFailedError: a service has ended, or does not answer.
    """
    with _one_at_a_time():
        server = _server(port, say)
        api = PrefectApi(f"{server.address}/api")
        identity = read_identity(root)
        for deployment in (NIGHTLY, STYLIZE):
            refuse_name_clash(api, identity, deployment)
        claim_queues(api, identity)
        mlflow = _start_mlflow(root, say)
        workers = [_start_worker(root, server, api, queue, say) for queue in definitions.WORKERS]
        if mlflow.manager != "other":
            _wait_until(lambda: answers(f"{mlflow.address}/health"), mlflow)
        for worker in workers:
            _wait_until(functools.partial(_is_polling, api, root, worker), worker)
        return [server, mlflow, *workers]


def down(root: Path, say: Say) -> list[str]:
    """Stops workers, MLflow and, unless another project's worker uses it, the Prefect server; returns their names."""
    with _one_at_a_time():
        stopped = [name for name in _PROJECT_SERVICES if _stop(records_folder(root), name, say)]
        if others := sorted({record.project for record in _running_workers()}):
            if running(records_folder(), "server"):
                say(f"The Prefect server goes on: the workers of {', '.join(others)} use it.")
        elif _stop(records_folder(), "server", say):
            stopped.append("server")
        return stopped


def running(folder: Path, name: str) -> ServiceRecord | None:
    """The record of a service that runs; None if it does not."""
    record = read_record(folder, name)
    if record is None:
        return None
    if record.manager == "other":
        return record if answers(f"{record.address}/api/health") else None
    return record if manager_of(record).main_pid(record) else None


def manager_of(record: ServiceRecord) -> ServiceManager:
    """The manager that started a service.

    Raises:
        UsageError: systemd started it, and cannot be reached.
    """
    if record.manager != "systemd":
        return ProcessManager()
    if not has_systemd():
        raise UsageError(
            f"{record.unit} was started by the user's systemd, which does not answer: log in anew, or "
            "`export XDG_RUNTIME_DIR=/run/user/$(id -u)`"
        )
    return SystemdManager()


def since(record: ServiceRecord) -> datetime | None:
    """When a service was started; None if it does not run, or was not started by ``up``."""
    pid = None if record.manager == "other" else manager_of(record).main_pid(record)
    try:
        return datetime.fromtimestamp(psutil.Process(pid).create_time(), UTC) if pid else None
    except psutil.Error:
        return None


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    folder = records_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        yield


def _server(port: int | None, say: Say) -> ServiceRecord:
    """The Prefect server, answering."""
    folder = records_folder()
    before = read_record(folder, "server")
    named = (known_api_url() or "").removesuffix("/api") if os.environ.get(VARIABLE) else ""
    if named and (before is None or named != before.address):
        if answers(f"{named}/api/health"):
            say(f"The Prefect server at {named} is used, which {VARIABLE} names.")
            return ServiceRecord(name="server", manager="other", address=named)
        raise UsageError(f"{VARIABLE} names {named}, which does not answer: start it, or `unset {VARIABLE}`")
    if current := running(folder, "server"):
        if port not in (None, current.port):
            raise UsageError(f"the Prefect server runs at {current.address}: `stylereel down` first, in each project")
        _wait_until(lambda: answers(f"{current.address}/api/health"), current)
        return current
    wanted = port or (before.port if before else 0) or definitions.SERVER_PORT
    if not ports.is_free(wanted) and port is None and _is_own_server(wanted):
        say(f"The Prefect server that runs at port {wanted} already is used; `stylereel down` does not stop it.")
        record = ServiceRecord(name="server", manager="other", address=f"http://{ports.HOST}:{wanted}")
        write_record(folder, record)
        return record
    record = _start(definitions.prefect_server(_port(wanted, "Prefect server", say)), say)
    _wait_until(lambda: answers(f"{record.address}/api/health"), record)
    return record


def _is_own_server(port: int) -> bool:
    return ports.is_own(port) and answers(f"http://{ports.HOST}:{port}/api/health")


def _start_mlflow(root: Path, say: Say) -> ServiceRecord:
    uri = tracking_uri(root)
    if uri.startswith(("http://", "https://")):
        return ServiceRecord(name="mlflow", manager="other", address=shown_url(uri))
    folder = records_folder(root)
    if current := running(folder, "mlflow"):
        return current
    before = read_record(folder, "mlflow")
    wanted = before.port if before else definitions.MLFLOW_PORT
    return _start(definitions.mlflow_server(root, _port(wanted, "MLflow server", say)), say)


def _start_worker(
    root: Path, server: ServiceRecord, api: PrefectApi, queue: definitions.Queue, say: Say
) -> ServiceRecord:
    if current := running(records_folder(root), definitions.WORKERS[queue]):
        return current
    own = server.manager == "systemd"
    return _start(definitions.own_worker(root, api.url, queue, own_server=own), say)


def _is_polling(api: PrefectApi, root: Path, record: ServiceRecord) -> bool:
    """Whether the server has heard from the worker since its start: one that was killed stays online for a while."""
    begun = since(record)
    for worker in api.post(f"/work_pools/{POOL}/workers/filter", {"limit": 200}) or []:
        if worker["name"] == worker_name(root, record.name) and begun is not None and worker["last_heartbeat_time"]:
            return datetime.fromisoformat(worker["last_heartbeat_time"]) >= begun
    return False


def _port(wanted: int, title: str, say: Say) -> int:
    port = ports.free_port(wanted)
    if port != wanted:
        say(f"Port {wanted} is taken by another program: the {title} gets port {port}.")
    return port


def _start(service: Service, say: Say) -> ServiceRecord:
    say(f"Starting the {service.title} ...")
    manager: ServiceManager = SystemdManager() if has_systemd() else ProcessManager()
    return manager.start(service)


def _wait_until(is_up: Callable[[], bool], record: ServiceRecord) -> None:
    manager = None if record.manager == "other" else manager_of(record)
    deadline = time.monotonic() + _UP_WITHIN_S
    while not is_up():
        ended = manager is not None and record.manager == "processes" and manager.main_pid(record) is None
        if ended or time.monotonic() > deadline:
            what = "ended" if ended else f"does not answer after {_UP_WITHIN_S:.0f} s"
            raise InputsFailedError(f"the {record.name} {what}; its log: {record.log}{_last_lines(record)}")
        time.sleep(_POLL_S)


def _last_lines(record: ServiceRecord, number: int = 5) -> str:
    if record.manager != "processes" or not Path(record.log).is_file():
        return ""
    lines = Path(record.log).read_text(encoding="utf-8", errors="replace").splitlines()[-number:]
    return "\n" + "\n".join(lines)


def _stop(folder: Path, name: str, say: Say) -> bool:
    record = read_record(folder, name)
    if record is None or record.manager == "other":
        return False
    manager = manager_of(record)
    was_running = manager.main_pid(record) is not None
    if was_running:
        say(f"Stopping the {name} ...")
    if was_running or record.manager == "systemd":
        manager.stop(record, definitions.WORKER_STOP_S if name in definitions.WORKERS.values() else 30.0)
    if name != "server":
        remove_record(folder, name)
    return was_running


def _running_workers() -> list[ServiceRecord]:
    found = [path for name in definitions.WORKERS.values() for path in records_folder().glob(f"*/{name}.json")]
    return [record for path in found if (record := running(path.parent, path.stem))]
