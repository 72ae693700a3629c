"""The services: Prefect server (one for all projects of a user), MLflow server and two workers of a project."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

from flows.services.ports import HOST
from flows.services.prefect_api import VARIABLE
from flows.services.service import Service, project_key, records_folder
from tasks.shared.project_identity import read_identity
from tasks.shared.tracking import tracking_uri

Queue = Literal["trainings", "on-demand"]
WORKERS: dict[Queue, str] = {"trainings": "worker", "on-demand": "on-demand-worker"}
"""The worker of each queue."""
SERVER_PORT = 4200
MLFLOW_PORT = 5000
WORKER_STOP_S = 180.0
"""For a training that saves its state, after Prefect's worker has stopped its runs."""
_QUIET = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
_VACUUM = {"PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,orphans"}
"""Old events, and logs and artifacts of runs that are gone. Not "flow_runs": those of all users of the server."""


def prefect_server(port: int) -> Service:
    """Prefect's server with its database in ``PREFECT_HOME``; ``flows.retention`` removes a project's old runs."""
    address = f"http://{HOST}:{port}"
    return Service(
        name="server",
        title="Prefect server",
        records=records_folder(),
        unit="stylereel-server",
        command=(sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)),
        folder=Path.home(),
        address=address,
        health=f"{address}/api/health",
        environment={**_QUIET, **({} if _VACUUM.keys() & os.environ.keys() else _VACUUM)},
        dropped=(VARIABLE,),  # of a client
    )


def mlflow_server(root: Path, port: int) -> Service:
    """MLflow's server of the project's own store: runs go on writing into the store itself, with or without it.

    A server for all projects would need one store for all, and a project could not be moved with its runs any more.
    """
    address = f"http://{HOST}:{port}"
    options = {
        "--backend-store-uri": tracking_uri(root),
        # As for an experiment that a run creates: a run and this server must find each other's files.
        "--default-artifact-root": (root / "mlartifacts").as_uri(),
        "--host": HOST,
        "--port": str(port),
        "--workers": "1",
    }
    words = [word for option in options.items() for word in option]
    return Service(
        name="mlflow",
        title=f"MLflow server of {read_identity(root).name}",
        records=records_folder(root),
        unit=f"stylereel-{project_key(root)}-mlflow",
        command=(sys.executable, "-m", "mlflow", "server", *words, "--no-serve-artifacts"),
        folder=root,
        address=address,
        health=f"{address}/health",
        environment={**_QUIET, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # jobs of language models
        dropped=("MLFLOW_TRACKING_URI",),
    )


def own_worker(root: Path, api_url: str, queue: Queue, *, own_server: bool) -> Service:
    """A worker of the project.

    Two, since a worker's limit is for all its queues: a limit of the server's would keep the slot of a dead run.

    Args:
        root: the project.
        api_url: of the server.
        queue: that it serves.
        own_server: systemd starts the server before it.
    """
    name = WORKERS[queue]
    return Service(
        name=name,
        title=f"{name} of {read_identity(root).name}",
        records=records_folder(root),
        unit=f"stylereel-{project_key(root)}-{name}",
        command=(sys.executable, "-m", "flows", "worker", "--queue", queue),
        folder=root,
        environment={**_QUIET, VARIABLE: api_url},
        after=("stylereel-server",) if own_server else (),
        stop_s=WORKER_STOP_S,
    )
