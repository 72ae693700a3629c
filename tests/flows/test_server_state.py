"""The state of the server, without one: nothing configured, nothing answers, names of deployments."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.server_state import deployment_names, server_state


def test_without_a_configured_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert server_state(tmp_path) is None


def test_a_server_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://user:s3cr3t@127.0.0.1:9/api")
    state = server_state(tmp_path)
    assert state is not None
    assert state.unreachable == "127.0.0.1:9 (ConnectError)"


def test_names_of_deployments(tmp_path: Path) -> None:
    assert deployment_names(tmp_path) == []
    (tmp_path / "prefect.yaml").write_text("deployments: [{name: film-nightly}, {name: film-watch}]\n")
    assert deployment_names(tmp_path) == ["film-nightly", "film-watch"]
    (tmp_path / "prefect.yaml").write_text("deployments: 3\n")
    assert deployment_names(tmp_path) == []
