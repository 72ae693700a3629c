"""Service: what is started, and the record of what was started, one JSON file a service.

Records are kept by host, because home folders may be shared by several machines.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import platformdirs
from pydantic import BaseModel, ConfigDict, ValidationError

from stylegan_core.storage.atomic import write_bytes_atomically
from tasks.shared.project_identity import read_identity


@dataclass(frozen=True)
class Service:
    """A program that runs in the background.

    Attributes:
        name: "server", "mlflow", "worker" or "on-demand-worker".
        title: for people.
        records: folder of its record and its log.
        unit: name of its systemd unit, without the suffix.
        command: program and arguments.
        folder: working folder.
        address: URL for people; empty if it has none.
        health: URL that answers 200 when it is up; empty if it has none.
        environment: variables, in addition to those of this process.
        dropped: variables of this process that it must not have.
        after: units that systemd starts before it.
        stop_s: how long it may take to save its state at a stop.
    """

    name: str
    title: str
    records: Path
    unit: str
    command: tuple[str, ...]
    folder: Path
    address: str = ""
    health: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    stop_s: float = 30.0

    @property
    def log(self) -> Path:
        """The log file of a service without systemd."""
        return self.records / f"{self.name}.log"


class ServiceRecord(BaseModel):
    """How a service was started.

    Attributes:
        name: of the service.
        manager: "systemd", "processes", or "other": it was there already, and is not stopped.
        address: URL for people; empty if it has none.
        project: root of the project that it works for; empty: all projects of the user.
        unit: of systemd.
        pid: of the process, without systemd.
        started: tells the process from another one that has got the same pid later, see ``processes.start_mark``.
        log: command that shows the log, or its file.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    manager: str
    address: str = ""
    project: str = ""
    unit: str = ""
    pid: int = 0
    started: str = ""
    log: str = ""

    @property
    def port(self) -> int:
        """Port of the address; 0 if there is none."""
        digits = self.address.rpartition(":")[2].partition("/")[0]
        return int(digits) if digits.isdigit() else 0


class ServiceManager(Protocol):
    """Starts and stops services: ``systemd.SystemdManager`` or ``processes.ProcessManager``."""

    def main_pid(self, record: ServiceRecord) -> int | None:
        """Pid of the service; None if it does not run."""

    def start(self, service: Service) -> ServiceRecord:
        """Starts the service; it need not answer yet when this returns."""

    def stop(self, record: ServiceRecord, patience_s: float) -> None:
        """Stops the service with SIGTERM, and with SIGKILL after ``patience_s``."""


def records_folder(root: Path | None = None) -> Path:
    """The folder of records and logs of this user and host, or those of one project of theirs."""
    host = Path(platformdirs.user_state_path("stylereel")) / "services" / host_name()
    return host if root is None else host / project_key(root)


def project_key(root: Path) -> str:
    """Tells a checkout from other projects and from other clones of its project: name and digest of the folder."""
    return f"{read_identity(root).name}-{folder_digest(root)}"


def host_name() -> str:
    """Of this machine."""
    return platform.node() or "localhost"


def folder_digest(root: Path) -> str:
    """Tells folders of this machine apart."""
    return hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:8]


def worker_name(root: Path, service: str = "worker") -> str:
    """Name of a worker of this checkout on the server.

    Args:
        root: the checkout.
        service: "worker" or "on-demand-worker".
    """
    kind = "" if service == "worker" else f"-{service}"
    return f"{project_key(root)}{kind}-{host_name()}"  # clones have the same path on many machines


def read_record(folder: Path, name: str) -> ServiceRecord | None:
    """The record of a service; None if it was not started, or the file cannot be read."""
    try:
        return ServiceRecord.model_validate_json((folder / f"{name}.json").read_bytes())
    except (OSError, ValidationError):
        return None


def write_record(folder: Path, record: ServiceRecord) -> None:
    """Writes the record of a service."""
    write_bytes_atomically(folder / f"{record.name}.json", record.model_dump_json(indent=1).encode())


def remove_record(folder: Path, name: str) -> None:
    """Removes the record of a service that was stopped."""
    (folder / f"{name}.json").unlink(missing_ok=True)
