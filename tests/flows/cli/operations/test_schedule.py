"""The commands ``schedule`` and ``status``: what they print, and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.main import app
from tasks.shared.project_identity import ProjectIdentity
from tests.flows.services.fake_server import FakeServer


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """``call(*arguments, code=0)`` runs the command line in a project; returns all that it prints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    (tmp_path / "params.yaml").write_text("{}")
    (tmp_path / "project.yaml").write_text(ProjectIdentity(name="film", id="0123456789ab").text())

    def called(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == code, result.output
        return result.output + capfd.readouterr().err

    return called


def test_a_schedule_is_set_shown_and_removed(call: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeServer()
    monkeypatch.setattr("flows.services.prefect_api.find_api", lambda: server)
    assert "There is no schedule" in call("schedule")
    printed = call("schedule", "0 2 * * *", "--timezone", "Europe/Berlin")
    assert "pipeline/film-nightly runs at 0 2 * * * (Europe/Berlin)" in printed
    assert printed.count("02:00 Europe/Berlin") == 3
    assert "0 2 * * * (Europe/Berlin)" in call("schedule")
    assert "The schedule is removed" in call("schedule", "off")
    assert "There was no schedule" in call("schedule", "off")


def test_refusals_say_what_to_do(call: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "start one with `stylereel up`" in call("schedule", "0 2 * * *", code=2)
    assert "`stylereel up`" in call("worker", code=2)
    assert "not a cron schedule" in call("schedule", "every night", code=2)
    assert "unknown time zone" in call("schedule", "0 2 * * *", "--timezone", "Berlin", code=2)


def test_status_needs_no_server(call: Callable[..., str]) -> None:
    assert "stylereel up" in call("status")
    assert json.loads(call("status", "--json"))["runs"] == []


def test_down_without_services(call: Callable[..., str]) -> None:
    assert "Nothing was running" in call("down")
