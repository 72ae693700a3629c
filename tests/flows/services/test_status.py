"""Status: runs by their state, the stage of a pipeline, failures with reasons, and all without a server, too."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from flows.cli.operations.show_status import print_status
from flows.services import status
from flows.services.cron import Cron
from flows.services.deployments import deploy
from flows.services.service import ServiceRecord, records_folder, write_record
from tests.flows.services.fake_server import FakeServer

NOW = datetime(2026, 11, 30, 20, 0, tzinfo=UTC)
OWN = ["stylereel", "project:film", "project-id:0123456789ab"]


def run(
    name: str, kind: str, *, hours: float, tags: list[str] | None = None, flow: str = "pipeline", **more: Any
) -> Any:
    begun = kind not in ("SCHEDULED", "PENDING")
    time = (NOW + timedelta(hours=hours)).isoformat()
    ended = kind in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
    return {
        "id": f"id-{name}", "name": name, "flow_id": flow, "tags": [*OWN, *(tags or [])], "state_type": kind,
        "state_name": kind.title(), "state": {"message": more.pop("message", None)}, "expected_start_time": time,
        "start_time": time if begun else None, "end_time": time if ended else None, **more,
    }  # fmt: skip


@pytest.fixture
def project(make_project: Callable[..., Path], server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    film = make_project()
    deploy(server, film, Cron("0 2 * * *", "Europe/Berlin"))
    server.flows.update({"pipeline": "pipeline", "train": "train"})
    monkeypatch.setattr(status, "PrefectApi", lambda url, patience_s: server)
    write_record(records_folder(), ServiceRecord(name="server", manager="processes", address="http://127.0.0.1:4200"))
    return film


def shown(found: status.ProjectStatus, monkeypatch: pytest.MonkeyPatch) -> str:
    sink = io.StringIO()
    monkeypatch.setattr("rich.console.Console", lambda **_: Console(file=sink, width=120, highlight=False))
    print_status(found, NOW)
    return sink.getvalue()


def test_runs_by_their_state(project: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.runs.extend(
        [
            run("late-owl", "SCHEDULED", hours=-1, state_name="Late"),
            run("tomorrow", "SCHEDULED", hours=6),
            run("busy-bee", "RUNNING", hours=-2),
            run("stage", "RUNNING", hours=-1, flow="train", tags=["pipeline:id-busy-bee"]),
            run(
                "bad-luck",
                "FAILED",
                hours=-24,
                message="Flow run encountered an exception: GateError: worse\nthan before",
            ),
            run("fine-day", "COMPLETED", hours=-48),
            run("stranger", "RUNNING", hours=-1) | {"tags": ["stylereel", "project:film", "project-id:ba9876543210"]},
        ]
    )
    found = status.collect(project, NOW)
    assert found.answers
    assert [(one.name, one.state) for one in found.runs] == [
        ("busy-bee", "Running"),
        ("late-owl", "Late"),
        ("bad-luck", "Failed"),
        ("fine-day", "Completed"),
    ]
    assert [one.name for one in found.next] == ["tomorrow"]
    assert found.runs[0].stage == "train"
    assert found.schedule == "0 2 * * * Europe/Berlin"
    assert {"id", "name", "state", "start", "end"} <= set(found.as_dict()["runs"][0])
    text = shown(found, monkeypatch)
    for words in (
        "busy-bee  stage train",
        "late-owl",
        "GateError: worse than before",
        "0 2 * * * Europe/Berlin",
        "GB free",
    ):
        assert words in text
    assert "encountered an exception" not in text


def test_without_a_server(make_project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    found = status.collect(make_project(), NOW)
    assert (found.api, found.answers, found.runs) == ("", False, [])
    assert [(one.name, one.up) for one in found.services] == [
        (name, False) for name in ("server", "worker", "on-demand-worker", "mlflow")
    ]
    assert "The Prefect server is not running: stylereel up" in shown(found, monkeypatch)
    assert {one.name for one in found.disk} == {"project", "cache"}


def test_a_server_that_has_ended(project: Path, server: FakeServer) -> None:
    server.__dict__["up"] = False
    found = status.collect(project, NOW)
    assert not found.answers
    assert found.api == "http://127.0.0.1:4200/api"
    assert found.services[0].address == "http://127.0.0.1:4200"
