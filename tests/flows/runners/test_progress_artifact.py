"""Progress reaches the page of the run, seldom, and a server that is away costs the work nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.runners import progress_artifact as module
from flows.runners.progress_artifact import progress_artifact
from tasks.shared.origin import FLOW_RUN_VARIABLE, TASK_RUN_VARIABLE

RUN, TASK = str(uuid4()), str(uuid4())


class Artifacts:
    """What a server was asked to store."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.url = ""
        self.answers = 201

    def shown(self) -> list[float]:
        return [body["data"] for _, body in self.requests]


@pytest.fixture
def server() -> Iterator[Artifacts]:
    artifacts, number = Artifacts(), str(uuid4())

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
            if "/artifacts/" in self.path:
                artifacts.requests.append((f"{self.command} {self.path.replace(number, 'ID')}", body))
            asks = self.command == "GET"  # for a token, which this server does not need
            reply = json.dumps({"detail": "CSRF protection is disabled."} if asks else {"id": number, **body}).encode()
            self.send_response(422 if asks else artifacts.answers)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        do_POST = do_PATCH = do_GET = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        artifacts.url = f"http://127.0.0.1:{http.server_address[1]}/api"
        yield artifacts
        http.shutdown()


@pytest.fixture(autouse=True)
def _of_a_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FLOW_RUN_VARIABLE, RUN)
    monkeypatch.setenv(TASK_RUN_VARIABLE, TASK)
    monkeypatch.setattr(module, "_LAST_S", 300.0)  # a busy machine takes its time to import Prefect's client
    monkeypatch.setattr("prefect.events.utilities.emit_event", lambda **_: None)


def test_the_page_of_the_pipeline_shows_one_artifact(server: Artifacts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_EVERY_S", 0.2)
    with temporary_settings({PREFECT_API_URL: server.url}), progress_artifact("train My shot_1", "steps") as show:
        show(0, 400)
        deadline = time.monotonic() + 300
        while not server.requests and time.monotonic() < deadline:
            time.sleep(0.05)
        show(100, 400)
        show(400, 400)
    (first, created), *updates = server.requests
    assert first == "POST /api/artifacts/"
    assert (created["flow_run_id"], created["task_run_id"]) == (RUN, TASK)
    assert (created["key"], created["type"], created["data"]) == ("train-my-shot-1", "progress", 0.0)
    assert created["description"] == "train My shot_1: 0 of 400 steps"
    assert {path for path, _ in updates} == {"PATCH /api/artifacts/ID"}
    assert updates[-1][1] == {"data": 100.0, "description": "train My shot_1: 400 of 400 steps"}


def test_many_steps_are_few_requests(server: Artifacts) -> None:
    with temporary_settings({PREFECT_API_URL: server.url}), progress_artifact("stylize", "frames") as show:
        for frame in range(1, 5001):
            show(frame, 5000)
    assert len(server.requests) <= 2
    assert server.shown()[-1] == 100.0


def test_work_that_fails_keeps_its_error_and_shows_how_far_it_came(server: Artifacts) -> None:
    def fails() -> None:
        with progress_artifact("stylize", "frames") as show:
            show(3, 9)
            raise ValueError("a frame")

    with temporary_settings({PREFECT_API_URL: server.url}), pytest.raises(ValueError, match="a frame"):
        fails()
    assert server.shown()[-1] == 33.3


def test_a_server_that_refuses_or_is_away_costs_nothing(server: Artifacts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LAST_S", 2.0)
    server.answers = 422
    for address in (server.url, "http://127.0.0.1:9/api"):
        began_s = time.monotonic()
        with temporary_settings({PREFECT_API_URL: address}), progress_artifact("stylize", "frames") as show:
            show(1, 9)
        assert time.monotonic() - began_s < 30


def test_without_a_run_nothing_is_sent(server: Artifacts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FLOW_RUN_VARIABLE)
    with temporary_settings({PREFECT_API_URL: server.url}), progress_artifact("stylize", "frames") as show:
        show(1, 9)
    assert not server.requests
