"""Fixtures: a project, a Prefect server in memory, records of services in the test's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.shared.project_identity import ProjectIdentity
from tests.flows.services.fake_server import FakeServer


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[..., Path]:
    """``make_project(folder, name, id)``: no more than its identity."""

    def make(folder: str = "film", name: str = "film", number: str = "0123456789ab") -> Path:
        root = tmp_path / folder
        root.mkdir(parents=True)
        (root / "params.yaml").write_text("{}")
        (root / "project.yaml").write_text(ProjectIdentity(name=name, id=number).text())
        return root

    return make


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
