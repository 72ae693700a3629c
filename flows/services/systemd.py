"""systemd user units: services that systemd starts at boot, restarts when they fail, and whose log it keeps."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from flows.services.service import Service, ServiceRecord, write_record
from stylegan_core.storage.atomic import write_atomically
from tasks.shared.errors import UsageError
from tasks.shared.versioning import child_environment

_CARRIED = ("STYLEREEL_", "PREFECT_", "MLFLOW_", "DVC_", "OMP_", "CUDA_", "GIT_SSH", "AWS_", "AZURE_", "GOOGLE_")
"""Variables of the user's shell by their beginning: systemd starts services without the shell's environment."""
_CARRIED_NAMES = (
    "PATH",
    "PYTHONPATH",
    "OCIO",
    "DO_NOT_TRACK",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "SSH_AUTH_SOCK",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "no_proxy",
)
_TIMEOUT_S = 60.0

_UNIT = """\
# Written by `stylereel up`, removed by `stylereel down`.
[Unit]
Description=stylereel: {title}
{after}
[Service]
Type=exec
WorkingDirectory={folder}
{environment}
ExecStart={command}
Restart=on-failure
RestartSec=5
# All processes of the service get SIGTERM, on which a training saves its state.
KillMode=control-group
TimeoutStopSec={stop_s:.0f}

[Install]
WantedBy=default.target
"""


class SystemdManager:
    """Services as units of the user's systemd. See ``service.ServiceManager``."""

    def main_pid(self, record: ServiceRecord) -> int | None:
        """See ``ServiceManager.main_pid``."""
        shown = systemctl("show", record.unit, "--property=ActiveState", "--property=MainPID").stdout
        facts = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        if facts.get("ActiveState") not in ("active", "activating", "reloading"):
            return None
        return int(facts.get("MainPID", "0")) or None

    def start(self, service: Service) -> ServiceRecord:
        """See ``ServiceManager.start``; the unit is enabled, so that it starts with the user's systemd.

        Raises:
            UsageError: systemd refused the unit.
        """
        unit = f"{service.unit}.service"
        _write_private(unit_folder() / unit, unit_text(service))
        record = ServiceRecord(
            name=service.name,
            manager="systemd",
            address=service.address,
            project=str(service.folder) if service.name != "server" else "",
            unit=unit,
            log=f"journalctl --user --unit {unit}",
        )
        write_record(service.records, record)
        for arguments in (("daemon-reload",), ("enable", unit), ("restart", unit)):
            done = systemctl(*arguments)
            if done.returncode:
                raise UsageError(f"`systemctl --user {' '.join(arguments)}` failed: {done.stderr.strip()}")
        return record

    def stop(self, record: ServiceRecord, patience_s: float) -> None:
        """See ``ServiceManager.stop``; the unit is removed, so that it does not start at boot."""
        systemctl("disable", "--now", record.unit, timeout_s=patience_s + _TIMEOUT_S)
        (unit_folder() / record.unit).unlink(missing_ok=True)
        systemctl("daemon-reload")


def has_systemd() -> bool:
    """Whether this user's systemd can be reached."""
    return shutil.which("systemctl") is not None and systemctl("show-environment").returncode == 0


def starts_at_boot() -> bool:
    """Whether the user's systemd runs without a login (lingering)."""
    if shutil.which("loginctl") is None:
        return False
    call = ["loginctl", "show-user", getpass.getuser(), "--property=Linger"]
    done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
    return done.stdout.strip() == "Linger=yes"


def systemctl(*arguments: str, timeout_s: float = _TIMEOUT_S) -> subprocess.CompletedProcess[str]:
    """Calls ``systemctl --user``."""
    command = ["systemctl", "--user", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s)


def unit_folder() -> Path:
    """Where the user's units are."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"


def unit_text(service: Service) -> str:
    """The unit of a service."""
    after = "".join(f"Wants={unit}.service\nAfter={unit}.service\n" for unit in service.after)
    variables = {**carried(child_environment()), **service.environment}
    lines = [f"Environment={_quote(f'{k}={v}')}" for k, v in sorted(variables.items()) if k not in service.dropped]
    return _UNIT.format(
        title=service.title.replace("%", "%%"),
        after=after,
        folder=str(service.folder).replace("%", "%%"),
        environment="\n".join(lines),
        command=" ".join(_quote(word).replace("$", "$$") for word in service.command),
        stop_s=service.stop_s,
    )


def carried(environment: Mapping[str, str]) -> dict[str, str]:
    """Those variables of a shell that services need."""
    return {
        name: value
        for name, value in environment.items()
        if (name in _CARRIED_NAMES or name.startswith(_CARRIED)) and "\n" not in value
    }


def _quote(word: str) -> str:
    """One word of a unit: quoted, without systemd's specifiers."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _write_private(path: Path, text: str) -> None:
    def write(temporary: Path) -> None:
        temporary.touch(mode=0o600)  # the environment may hold a password of the MLflow server
        temporary.write_text(text, encoding="utf-8")

    write_atomically(path, write)
