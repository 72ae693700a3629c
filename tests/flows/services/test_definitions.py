"""The environment of the services."""

from __future__ import annotations

import pytest

from flows.services.definitions import prefect_server

VACUUM = "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED"


def test_the_server_removes_events_and_what_is_left_of_runs_but_no_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VACUUM, raising=False)
    from prefect.settings.models.server.services import ServerServicesDBVacuumSettings

    wanted = prefect_server(4200).environment[VACUUM]
    assert ServerServicesDBVacuumSettings(enabled=wanted).enabled_vacuum_types == {"events", "orphans"}


def test_the_users_own_setting_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VACUUM, "events,flow_runs")
    assert VACUUM not in prefect_server(4200).environment, "the service inherits it"
