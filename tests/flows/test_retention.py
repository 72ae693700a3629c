"""Retention asks for old, finished runs of the project alone; a server that is away is a warning."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from flows import retention
from flows.retention import apply_retention, old_flow_runs, remove_flow_runs
from tasks.shared.project_identity import ProjectIdentity

ID = "0123456789ab"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "project.yaml").write_text(ProjectIdentity(name="film", id=ID).text())
    (tmp_path / "params.yaml").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


class _Client:
    """A server whose runs all match; ``done`` has what was asked of it, in order. See proofs for a real one."""

    def __init__(self, runs: int, refuses: bool = False) -> None:
        ended = datetime(2026, 3, 1, tzinfo=UTC)
        self.runs = [SimpleNamespace(id=uuid4(), end_time=ended) for _ in range(runs)]
        self.artifacts = [SimpleNamespace(id=uuid4(), run=run.id) for run in self.runs]
        self.refuses = refuses
        self.filters: list[dict[str, Any]] = []
        self.done: list[str] = []

    def read_flow_runs(self, flow_run_filter: Any, sort: Any, limit: int) -> list[Any]:
        self.filters.append(flow_run_filter.model_dump(mode="json", exclude_none=True))
        return self.runs[:limit]

    def read_artifacts(self, artifact_filter: Any, limit: int) -> list[Any]:
        return [one for one in self.artifacts if one.run in artifact_filter.flow_run_id.any_][:limit]

    def delete_artifact(self, artifact: UUID) -> None:
        self.done.append("artifact")
        self.artifacts = [one for one in self.artifacts if one.id != artifact]

    def request(self, method: str, path: str, *, json: dict[str, Any]) -> Any:
        self.filters.append(json["flow_runs"])
        if path == "/flow_runs/count":
            return SimpleNamespace(json=lambda: len(self.runs))
        assert path == "/flow_runs/bulk_delete"
        named = [] if self.refuses else json["flow_runs"]["id"]["any_"]
        self.runs = [run for run in self.runs if str(run.id) not in named]
        self.done.append(f"{len(named)} runs")
        return SimpleNamespace(json=lambda: {"deleted": named})

    def __enter__(self) -> _Client:
        return self

    def __exit__(self, *_: object) -> None: ...


def serve(monkeypatch: pytest.MonkeyPatch, client: _Client) -> _Client:
    monkeypatch.setattr(retention, "_client", lambda url: client)
    monkeypatch.setattr(retention, "_BATCH", 2)
    return client


def test_runs_are_removed_in_batches_after_their_artifacts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = serve(monkeypatch, _Client(3))
    assert remove_flow_runs(root, 90, "http://x/api") == 3
    assert client.done == ["artifact", "artifact", "2 runs", "artifact", "1 runs"]
    assert client.artifacts == client.runs == []


def test_only_old_and_finished_runs_of_the_project_are_asked_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = serve(monkeypatch, _Client(1))
    found = old_flow_runs(root, 90, "http://x/api")
    assert (found.number, found.oldest) == (1, datetime(2026, 3, 1, tzinfo=UTC))
    assert not client.done
    remove_flow_runs(root, 90, "http://x/api")
    assert len(client.filters) == 5, "count and read; read, delete and read"
    for asked in client.filters:
        assert asked["tags"]["all_"] == [f"project-id:{ID}"]
        assert set(asked["state"]["type"]["any_"]) == {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}
        age = datetime.now(UTC) - datetime.fromisoformat(asked["end_time"]["before_"])
        assert timedelta(days=90) <= age < timedelta(days=90, minutes=5)


def test_a_server_that_removes_nothing_is_not_asked_for_ever(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert remove_flow_runs(root, 90, serve(monkeypatch, _Client(1, refuses=True)) and "http://x/api") == 0


def test_a_server_that_is_away_is_a_warning(
    root: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = []
    monkeypatch.setattr(retention.mlflow_runs, "plan", lambda *_, **__: reached.append("MLflow"))
    with caplog.at_level(logging.WARNING, "flows.retention"):
        apply_retention(root, 90, "http://127.0.0.1:9/api")
    assert "Prefect: old runs were not removed" in caplog.text
    assert "MLflow: old runs were not removed" in caplog.text, "the stub gives no plan"
    assert reached == ["MLflow"], "it is not skipped"


def test_zero_days_keep_all(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        pytest.fail("nothing is asked")

    monkeypatch.setattr(retention, "remove_flow_runs", fail)
    monkeypatch.setattr(retention.mlflow_runs, "plan", fail)
    apply_retention(root, 0, "http://127.0.0.1:9/api")
