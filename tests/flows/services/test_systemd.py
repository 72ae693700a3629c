"""Units of the user's systemd: their text, and the calls of a systemctl that notes them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from flows.services.service import Service, read_record
from flows.services.systemd import SystemdManager, has_systemd, starts_at_boot, unit_folder, unit_text
from tasks.shared.errors import UsageError

SYSTEMCTL = """#!/bin/sh
echo "$@" >> {calls}
case "$2" in
  show) echo "ActiveState=active"; echo "MainPID=4711" ;;
  enable) [ ! -e {refuses} ] || {{ echo "Unit is masked" >&2; exit 1; }} ;;
esac
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """File with the calls of systemctl; a file "refuses" beside it lets ``enable`` fail."""
    programs = tmp_path / "bin"
    programs.mkdir()
    texts = {
        "systemctl": SYSTEMCTL.format(calls=tmp_path / "calls", refuses=tmp_path / "refuses"),
        "loginctl": f"#!/bin/sh\n[ -e {tmp_path / 'lingers'} ] && echo Linger=yes || echo Linger=no\n",
    }
    for name, text in texts.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return tmp_path / "calls"


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(
        name="worker",
        title="worker of film",
        records=tmp_path / "records",
        unit="stylereel-film-01234567-worker",
        command=("/opt/my tools/python", "-m", "flows", "worker", "100%", "$HOME"),
        folder=tmp_path,
        environment={"PREFECT_API_URL": "http://127.0.0.1:4200/api"},
        dropped=("MLFLOW_TRACKING_URI",),
        after=("stylereel-server",),
        stop_s=180.0,
    )


def test_the_unit_of_a_worker(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", "/fast disk/100%")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////elsewhere.db")
    monkeypatch.setenv("SECRET_OF_ANOTHER_PROGRAM", "x")
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "of this process")
    lines = unit_text(service).splitlines()
    for line in (
        "Description=stylereel: worker of film",
        "Wants=stylereel-server.service",
        "After=stylereel-server.service",
        f"WorkingDirectory={tmp_path}",
        'Environment="PREFECT_API_URL=http://127.0.0.1:4200/api"',
        'Environment="STYLEREEL_CACHE_DIR=/fast disk/100%%"',
        'ExecStart="/opt/my tools/python" "-m" "flows" "worker" "100%%" "$$HOME"',
        "Restart=on-failure",
        "KillMode=control-group",
        "TimeoutStopSec=180",
        "WantedBy=default.target",
    ):
        assert line in lines, line
    text = "\n".join(lines)
    assert "SECRET" not in text
    assert "FLOW_RUN_ID" not in text
    assert "MLFLOW_TRACKING_URI" not in text
    assert 'Environment="PATH=' in text, "dvc and git are found"


def test_start_enables_and_stop_removes(service: Service, calls: Path) -> None:
    assert has_systemd()
    record = SystemdManager().start(service)
    unit = unit_folder() / "stylereel-film-01234567-worker.service"
    assert unit.read_text() == unit_text(service)
    assert stat.S_IMODE(unit.stat().st_mode) == 0o600, "its environment may hold a password"
    assert read_record(service.records, "worker") == record
    assert record.log == f"journalctl --user --unit {unit.name}"
    assert SystemdManager().main_pid(record) == 4711
    SystemdManager().stop(record, 1.0)
    assert not unit.exists()
    assert [line.removeprefix("--user ") for line in calls.read_text().splitlines()] == [
        "show-environment",
        "daemon-reload",
        f"enable {unit.name}",
        f"restart {unit.name}",
        f"show {unit.name} --property=ActiveState --property=MainPID",
        f"disable --now {unit.name}",
        "daemon-reload",
    ]


def test_a_refusal_is_explained(service: Service, calls: Path) -> None:
    (calls.parent / "refuses").touch()
    with pytest.raises(UsageError, match=r"enable .*worker\.service` failed: Unit is masked"):
        SystemdManager().start(service)


def test_lingering(calls: Path) -> None:
    assert not starts_at_boot()
    (calls.parent / "lingers").touch()
    assert starts_at_boot()


def test_no_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not has_systemd()
    assert not starts_at_boot()
