"""Starting and stopping: which server is used, which port, and what others still need."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flows.services import definitions, ports, site
from flows.services.prefect_api import expected_api_url, known_api_url
from flows.services.service import (
    Service,
    ServiceRecord,
    project_key,
    read_record,
    records_folder,
    worker_name,
    write_record,
)
from tasks.shared.errors import InputsFailedError, UsageError

ANSWERS = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture(autouse=True)
def _without_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "has_systemd", lambda: False)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def healthy() -> Iterator[str]:
    """Address of a server that answers 200 to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer((ports.HOST, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{ports.HOST}:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def small_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In place of Prefect's server one that starts at once; it is stopped afterwards."""

    def define(port: int) -> Service:
        command, address = (sys.executable, "-c", ANSWERS, str(port)), f"http://{ports.HOST}:{port}"
        return Service("server", "Prefect server", records_folder(), "unit", command, tmp_path, address=address)

    monkeypatch.setattr(definitions, "prefect_server", define)
    yield
    site._stop(records_folder(), "server", print)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ports.HOST, 0))
        return int(probe.getsockname()[1])


def test_the_server_is_started_once_and_stopped(small_server: None, said: list[str]) -> None:
    port = free_port()
    first = site._server(port, said.append)
    assert (first.manager, first.port) == ("processes", port)
    assert site._server(None, said.append) == first
    assert said == ["Starting the Prefect server ..."]
    with pytest.raises(UsageError, match=f"runs at {first.address}"):
        site._server(port + 1, said.append)
    assert site.running(records_folder(), "server") == first
    assert site.since(first) is not None
    assert site._stop(records_folder(), "server", said.append)
    assert site.running(records_folder(), "server") is None
    assert read_record(records_folder(), "server") == first, "the next one gets the same port"


def test_a_port_of_another_program_is_not_used(small_server: None, said: list[str]) -> None:
    with socket.socket() as taken:
        taken.bind((ports.HOST, 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        record = site._server(port, said.append)
    assert record.port > port
    assert said[0] == f"Port {port} is taken by another program: the Prefect server gets port {record.port}."


def test_a_server_that_the_user_named_is_used(healthy: str, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"{healthy}/api")
    record = site._server(None, said.append)
    assert (record.manager, record.address) == ("other", healthy)
    monkeypatch.setenv("PREFECT_API_URL", f"http://{ports.HOST}:{free_port()}/api")
    with pytest.raises(UsageError, match="unset PREFECT_API_URL"):
        site._server(None, said.append)


def test_a_server_of_this_user_is_not_doubled(healthy: str, said: list[str]) -> None:
    write_record(records_folder(), ServiceRecord(name="server", manager="processes", address=healthy))
    record = site._server(None, said.append)
    assert (record.manager, record.address) == ("other", healthy)
    assert "`stylereel down` does not stop it" in said[0]
    assert not site._stop(records_folder(), "server", said.append)


def test_a_server_that_ends_at_once_is_an_error_with_its_log(
    small_server: None, said: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = (sys.executable, "-c", "raise SystemExit('no database')")
    broken = Service("server", "Prefect server", records_folder(), "unit", command, tmp_path, address="http://x:1")
    monkeypatch.setattr(definitions, "prefect_server", lambda port: broken)
    with pytest.raises(InputsFailedError, match="the server ended") as error:
        site._server(free_port(), said.append)
    assert "no database" in str(error.value)


def test_the_server_goes_on_for_another_projects_worker(
    make_project: Callable[..., Path], small_server: None, said: list[str]
) -> None:
    film, reel = make_project("film", "film"), make_project("reel", "reel")
    server = site._server(free_port(), said.append)
    worker = Service(
        "worker", "w", records_folder(reel), "u", (sys.executable, "-c", "import time; time.sleep(60)"), reel
    )
    site.ProcessManager().start(worker)
    assert site.down(film, said.append) == []
    assert said[-1] == f"The Prefect server goes on: the workers of {reel} use it."
    assert site.running(records_folder(), "server") == server
    assert site.down(reel, said.append) == ["worker", "server"]


def test_what_systemd_started_needs_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="XDG_RUNTIME_DIR"):
        site.manager_of(ServiceRecord(name="server", manager="systemd", unit="stylereel-server.service"))


def test_mlflow_serves_the_projects_store(make_project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    film = make_project()
    command = " ".join(definitions.mlflow_server(film, 5000).command)
    assert f"--backend-store-uri sqlite:///{film}/mlflow.db" in command
    assert f"--default-artifact-root {(film / 'mlartifacts').as_uri()}" in command
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example:5000")
    assert site._start_mlflow(film, print) == ServiceRecord(
        name="mlflow", manager="other", address="http://mlflow.example:5000"
    )


def test_a_server_is_expected_from_up_until_down(
    make_project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    film = make_project()
    write_record(records_folder(), ServiceRecord(name="server", manager="processes", address="http://127.0.0.1:4321"))
    assert known_api_url() == "http://127.0.0.1:4321/api"
    assert expected_api_url(film) is None, "that of another project"
    write_record(records_folder(film), ServiceRecord(name="worker", manager="processes"))
    assert expected_api_url(film) == "http://127.0.0.1:4321/api"
    site.down(film, print)
    assert expected_api_url(film) is None
    monkeypatch.setenv("PREFECT_API_URL", "http://night:4200/api/")
    assert expected_api_url(film) == "http://night:4200/api"


def test_each_queue_has_its_worker(make_project: Callable[..., Path]) -> None:
    film = make_project()
    workers = [definitions.own_worker(film, "http://x/api", queue, own_server=False) for queue in definitions.WORKERS]
    assert [worker.command[-2:] for worker in workers] == [("--queue", "trainings"), ("--queue", "on-demand")]
    assert len({(worker.name, worker.unit, worker.log) for worker in workers}) == 2
    assert len({worker_name(film, worker.name) for worker in workers}) == 2


def test_records_are_kept_by_clone(make_project: Callable[..., Path]) -> None:
    film, clone = make_project("film"), make_project("clone")
    assert project_key(film) != project_key(clone)
    assert project_key(film).startswith("film-")
    write_record(records_folder(film), ServiceRecord(name="worker", manager="processes", pid=os.getpid()))
    assert read_record(records_folder(film), "worker") is not None
    assert read_record(records_folder(clone), "worker") is None
    (records_folder(film) / "worker.json").write_text("{")
    assert read_record(records_folder(film), "worker") is None
