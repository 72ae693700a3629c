"""A Prefect server on loopback, and process groups that are ended with the test."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PREFECT = str(Path(sys.executable).parent / "prefect")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: list[str], folder: Path, environment: dict[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A process group that is ended afterwards, by SIGKILL if SIGTERM does not suffice."""
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield process
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, number)
                    process.wait(timeout=20)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    continue
            process.wait(timeout=20)


class Server:
    """Its REST API.

    Args:
        api: address.
        login: user, colon and password, if the server asks for them.
    """

    def __init__(self, api: str, login: str = "") -> None:
        self.api = api
        self.headers = {"Content-Type": "application/json"}
        if login:
            self.headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(self.api + path, json.dumps(body).encode(), self.headers, method="POST")
        for patience_s in (30, 60, 120):  # a loaded machine
            try:
                with urllib.request.urlopen(request, timeout=patience_s) as answer:
                    return json.loads(answer.read() or "null")
            except TimeoutError:
                continue
            except urllib.error.HTTPError as error:
                if error.code != 503:  # its database is locked for the moment
                    raise
                time.sleep(1)
        pytest.fail(f"no answer to {path}")

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(
            urllib.request.Request(self.api + path, headers=self.headers), timeout=60
        ) as answer:
            return json.loads(answer.read())

    def is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.api}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def flow_runs(self, where: dict[str, Any]) -> list[dict[str, Any]]:
        return self.post("/flow_runs/filter", {**where, "sort": "START_TIME_ASC"})  # type: ignore[no-any-return]


def wait_for(what: str, found: Callable[[], Any], within_s: float, log: Path) -> Any:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(2)
    pytest.fail(f"{what} not within {within_s} s; the log ends:\n{log.read_text(errors='replace')[-6000:]}")
