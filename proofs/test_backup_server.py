"""A Prefect server's schedule and runs survive a backup while it works, the loss of all files, and a restoration."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from flows import retention
from flows.services.definitions import prefect_server
from proofs.film_project import make_film
from proofs.local_server import Server, free_port, running, wait_for

CRON = "30 3 * * *"


@contextmanager
def serving(film: Any, port: int, log: Path) -> Iterator[Server]:
    """The server of the film's user, as `stylereel up` starts it."""
    service = prefect_server(port)
    with running(list(service.command), film.home, {**film.environment, **service.environment}, log):
        server = Server(f"{service.address}/api")
        wait_for("the server answers", server.is_up, 600, log)
        yield server


def schedules(server: Server) -> list[tuple[str, str]]:
    found = server.get("/deployments/name/pipeline/film-nightly")["schedules"]
    return [(one["schedule"]["cron"], one["schedule"]["timezone"]) for one in found]


def start_run(server: Server) -> str:
    """A run that works: the server calls it running, and its process would hold its lock."""
    deployment = server.get("/deployments/name/pipeline/film-nightly")["id"]
    run = str(server.post(f"/deployments/{deployment}/create_flow_run", {"state": {"type": "SCHEDULED"}})["id"])
    with retention._client(server.api) as client:
        body = {"state": {"type": "RUNNING"}, "force": True}
        client.request("POST", f"/flow_runs/{run}/set_state", json=body)
    return run


@pytest.mark.timeout(2400)
def test_the_schedule_and_the_runs_are_there(
    make_clone: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = make_film(make_clone("tool"), tmp_path / "film", steps=6)
    port, backup = free_port(), tmp_path / "film.tar"
    film.environment["PREFECT_HOME"] = str(tmp_path / "prefect")
    film.environment["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    with serving(film, port, tmp_path / "log") as server:
        film.stylereel("schedule", CRON, "--timezone", "Europe/Berlin")
        run = start_run(server)
        (film.root / ".stylereel/runs").mkdir(parents=True)
        (film.root / f".stylereel/runs/{run}.lock").touch()
        film.stylereel("backup", str(backup))
        assert schedules(server) == [(CRON, "Europe/Berlin")]
    commit = film.run("git", "rev-parse", "HEAD").stdout

    for lost in ("film", "prefect"):
        shutil.rmtree(tmp_path / lost)
    elsewhere = film.at(tmp_path)
    elsewhere.environment = film.environment
    said = elsewhere.stylereel("restore", str(backup)).stdout
    assert f"{film.root}: the project film as of" in said
    assert film.run("git", "rev-parse", "HEAD").stdout == commit

    from flows.dead_runs import recover

    with serving(film, port, tmp_path / "log") as server:
        assert schedules(server) == [(CRON, "Europe/Berlin")]
        assert server.get(f"/flow_runs/{run}")["state"]["type"] == "RUNNING"
        monkeypatch.setattr("flows.dead_runs._client", lambda: retention._client(server.api))
        (again,) = recover(film.root)  # as each worker does first
        assert server.get(f"/flow_runs/{run}")["state"]["type"] == "CRASHED"
        assert UUID(again) != UUID(run)
