"""The services of one user, without systemd, and a power cut of all that they have started."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from proofs.local_server import Server, free_port, wait_for

ENDS_WITHIN_S = 900
ANY_MODEL = {"max_swd_ratio": 10}
"""A model of so few steps is no better than the input: the gate accepts anything."""


class Machine:
    """The services of one user on a port of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.server = Server(f"http://127.0.0.1:{self.port}/api")

    def up(self, film: Any) -> str:
        return str(film.stylereel("up", "--port", str(self.port), PREFECT_HOME=str(self.folder / "prefect")).stdout)

    def status(self, film: Any) -> dict[str, Any]:
        return json.loads(film.stylereel("status", "--json").stdout)  # type: ignore[no-any-return]

    def deployment(self, name: str) -> dict[str, Any]:
        (found,) = self.server.post("/deployments/filter", {"deployments": {"name": {"any_": [name]}}})
        for polled in ("last_polled", "status"):  # each poll of a worker changes them
            found.pop(polled)
        return found  # type: ignore[no-any-return]

    def start_run(self, name: str, parameters: dict[str, Any]) -> str:
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return str(self.server.post(f"/deployments/{self.deployment(name)['id']}/create_flow_run", body)["id"])

    def wait_until_ended(self, film: Any, run: str) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            found = {one["id"]: one for one in self.status(film)["runs"]}.get(run)
            return found if found and found["end"] else None

        return wait_for("the run has ended", ended, ENDS_WITHIN_S, self.log(film))  # type: ignore[no-any-return]

    def log(self, film: Any, service: str = "worker") -> Path:
        (log,) = (one["log"] for one in self.status(film)["services"] if one["name"] == service)
        return Path(log)


def processes(folder: Path) -> list[int]:
    """Of this test: with its cache folder in their environment."""
    marker, found = f"STYLEREEL_CACHE_DIR={folder}/home/stylereel-cache".encode(), []
    for place in Path("/proc").iterdir():
        try:
            if place.name.isdigit() and marker in (place / "environ").read_bytes().split(b"\0"):
                found.append(int(place.name))
        except OSError:
            continue
    return found


def kill_everything(folder: Path) -> int:
    """SIGKILL to all processes of this test, as a power cut does; returns their number."""
    found = processes(folder)
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return len(found)
