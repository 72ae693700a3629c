"""The state of the server: its answers as notes, a server that does not answer, and none configured."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from prefect.states import Crashed, Failed, Scheduled

from flows.server_state import server_state
from tasks.shared.project_identity import PROJECT_FILE, ProjectIdentity

NOW = datetime.now(UTC)
SERVER = "http://127.0.0.1:4200/api"


class _Client:
    """A server with two deployments of the project, which remembers what it was asked."""

    def __init__(self) -> None:
        self.flows = {uuid4(): "pipeline", uuid4(): "watch"}
        self.deployments = {name: uuid4() for name in self.flows.values()}
        self.dead: list[Any] = []
        self.late: list[Any] = []
        self.filters: list[Any] = []

    def run(self, state: Any, **facts: Any) -> Any:
        known = {"start_time": None, "end_time": None, "expected_start_time": NOW, "created": NOW}
        return SimpleNamespace(id=uuid4(), deployment_id=self.deployments["pipeline"], state=state, **(known | facts))

    def read_deployments(self, deployment_filter: Any) -> list[Any]:
        self.filters.append(deployment_filter)
        return [SimpleNamespace(id=self.deployments[name], flow_id=flow) for flow, name in self.flows.items()]

    def read_flow(self, flow_id: Any) -> Any:
        return SimpleNamespace(name=self.flows[flow_id])

    def read_flow_runs(self, flow_run_filter: Any, limit: int) -> list[Any]:
        self.filters.append(flow_run_filter)
        return self.dead if flow_run_filter.state.type else self.late

    def __enter__(self) -> _Client:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> _Client:
    client = _Client()
    monkeypatch.setattr("prefect.client.orchestration.get_client", lambda **_: client)
    return client


def test_dead_and_late_runs_of_the_deployments(client: _Client, tmp_path: Path) -> None:
    (tmp_path / PROJECT_FILE).write_text(ProjectIdentity(name="film", id="0123456789ab").text())
    early, later = NOW - timedelta(hours=2), NOW - timedelta(hours=1)
    client.dead = [
        client.run(Failed(message="no module\nflows"), start_time=later, end_time=NOW),
        client.run(Crashed(message="exit code 1"), expected_start_time=early, end_time=NOW),
    ]
    client.late = [client.run(Scheduled(scheduled_time=early, name="Late"), expected_start_time=early)]
    state = server_state(tmp_path, SERVER)
    assert state is not None
    assert [(note.outcome, note.reason, note.work) for note in state.dead] == [
        ("crashed", "exit code 1", "pipeline"), ("failed", "no module flows", "pipeline"),
    ]  # fmt: skip
    assert state.dead[0].begun_s == early.timestamp()
    assert state.dead[0].ended_s == NOW.timestamp()
    (late,) = state.late
    assert (late.outcome, late.ended_s) == ("running", None)
    chosen, *of_runs = client.filters
    assert chosen.tags.all_ == ["project-id:0123456789ab"], "whatever they are called"
    watched = [chosen.deployment_id.any_ for chosen in of_runs]
    assert watched == [[client.deployments["pipeline"]]] * 2, "not the watch itself"
    assert timedelta(minutes=14) < datetime.now(UTC) - of_runs[1].expected_start_time.before_ < timedelta(minutes=16)


def test_nothing_is_deployed_yet(client: _Client, tmp_path: Path) -> None:
    client.flows.clear()
    state = server_state(tmp_path, SERVER)
    assert state is not None
    assert (state.dead, state.late, len(client.filters)) == ((), (), 1)


def test_without_a_configured_server(tmp_path: Path) -> None:
    assert server_state(tmp_path, None) is None


def test_a_server_that_does_not_answer(tmp_path: Path) -> None:
    state = server_state(tmp_path, "http://user:s3cr3t@127.0.0.1:9/api")
    assert state is not None
    assert state.unreachable == "no answer from 127.0.0.1:9"
