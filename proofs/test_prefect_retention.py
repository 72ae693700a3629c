"""Old runs of a project leave a Prefect server; those of others, young ones and unfinished ones stay."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from flows import retention
from flows.retention import old_flow_runs, remove_flow_runs
from flows.services.definitions import prefect_server
from proofs.local_server import Server, free_port, running, wait_for
from tasks.shared.project_identity import ProjectIdentity
from tasks.shared.versioning import child_environment

ID, OTHER = "0123456789ab", "ba9876543210"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "project.yaml").write_text(ProjectIdentity(name="film", id=ID).text())
    (tmp_path / "params.yaml").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture(scope="module")
def api(home: Path) -> Iterator[str]:
    """A Prefect server with a database of its own, as `stylereel up` starts it."""
    service = prefect_server(free_port())
    environment = child_environment({**service.environment, "PREFECT_HOME": str(home)})
    environment.pop("PREFECT_API_URL", None)
    with running(list(service.command), home, environment, home / "log"):
        server = Server(f"{service.address}/api")
        wait_for("the server answers", server.is_up, 240, home / "log")
        yield server.api


class Runs:
    """Makes runs on the server, and reads which are there."""

    def __init__(self, api: str, database: Path) -> None:
        self.api, self.database = api, database

    def make(self, days_ago: float, *, project: str = ID, state: str = "COMPLETED", artifacts: int = 0) -> str:
        with retention._client(self.api) as client:
            flow = client.request("POST", "/flows/", json={"name": "pipeline"}).json()["id"]
            body = {
                "flow_id": flow,
                "state": {"type": "RUNNING" if state != "SCHEDULED" else state},
                "tags": ["stylereel", f"project-id:{project}"],
            }
            run = client.request("POST", "/flow_runs/", json=body).json()["id"]
            if state not in ("RUNNING", "SCHEDULED"):
                ended = {"state": {"type": state}, "force": True}
                client.request("POST", f"/flow_runs/{run}/set_state", json=ended)
            stamp = datetime.now(UTC).isoformat()
            line = {"name": "x", "level": 20, "message": "a line", "timestamp": stamp, "flow_run_id": run}
            client.request("POST", "/logs/", json=[line])
            task = {"flow_run_id": run, "task_key": "t", "dynamic_key": "0", "name": "t"}
            client.request("POST", "/task_runs/", json=task)
            for _ in range(artifacts):
                summary = {"key": f"summary-{uuid4()}", "type": "markdown", "data": "text", "flow_run_id": run}
                client.request("POST", "/artifacts/", json=summary)
        self.set_end(run, days_ago)
        return str(run)

    def set_end(self, run: str, days_ago: float) -> None:
        end = (datetime.now(UTC) - timedelta(days=days_ago)).strftime("%Y-%m-%d %H:%M:%S.%f")
        with sqlite3.connect(self.database, timeout=60) as database:
            changed = database.execute(
                "UPDATE flow_run SET end_time = ? WHERE id = ? AND end_time NOT NULL", (end, run)
            )
            assert changed.rowcount <= 1

    def count(self, table: str, runs: list[str]) -> int:
        column = "id" if table == "flow_run" else "flow_run_id"
        marks = ", ".join("?" for _ in runs)
        with sqlite3.connect(self.database, timeout=60) as database:
            query = f"SELECT COUNT(*) FROM {table} WHERE {column} IN ({marks})"
            return int(database.execute(query, runs).fetchone()[0])


@pytest.fixture
def runs(api: str, home: Path) -> Runs:
    return Runs(api, home / "prefect.db")


def wait_until(found: Any) -> bool:
    deadline = time.monotonic() + 60
    while not found():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def test_old_runs_of_the_project_go_with_all_that_is_theirs(root: Path, api: str, runs: Runs) -> None:
    old = [runs.make(91, artifacts=1), runs.make(400, state="FAILED"), runs.make(91, state="CRASHED")]
    old.append(runs.make(100, state="CANCELLED", artifacts=2))
    stay = [runs.make(89, artifacts=1), runs.make(91, project=OTHER, artifacts=1)]
    stay += [runs.make(91, state="RUNNING"), runs.make(91, state="SCHEDULED")]
    assert (runs.count("flow_run", old), runs.count("task_run", old), runs.count("artifact", old)) == (4, 4, 3)

    found = old_flow_runs(root, 90, api)
    assert found.number == 4
    assert found.oldest is not None
    assert runs.count("flow_run", old) == 4, "counted only"

    assert remove_flow_runs(root, 90, api) == 4
    assert [runs.count(table, old) for table in ("flow_run", "task_run", "artifact")] == [0, 0, 0]
    assert wait_until(lambda: runs.count("log", old) == 0), "the server removes them in the background"
    assert [runs.count(table, stay) for table in ("flow_run", "task_run", "artifact", "log")] == [4, 4, 2, 4]
    assert remove_flow_runs(root, 90, api) == 0


def test_more_runs_than_a_request_removes(root: Path, api: str, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_BATCH", 2)
    old = [runs.make(120, artifacts=1) for _ in range(5)]
    assert remove_flow_runs(root, 90, api) == 5
    assert runs.count("flow_run", old) == runs.count("artifact", old) == 0
