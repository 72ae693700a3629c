"""Where the Prefect server's database is."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.services.server_database import server_database


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL"):
        monkeypatch.delenv(name, raising=False)


def test_it_is_a_file_in_prefects_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home of prefect"))
    assert server_database().path == tmp_path / "home of prefect" / "prefect.db"


def test_it_may_be_on_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", "postgresql+asyncpg://prefect:word@db/prefect")
    found = server_database()
    assert found.url == "postgresql+asyncpg://prefect:word@db/prefect"
    assert found.path is None
