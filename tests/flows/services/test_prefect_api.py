"""The REST client: a server that asks for a password, and addresses that have one."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from flows.services import status
from flows.services.prefect_api import PrefectApi, PrefectApiError, PrefectLoginError, find_api, known_api_url
from tasks.shared.errors import UsageError

LOGIN = "team:s3cr3t"


class _Guarded(BaseHTTPRequestHandler):
    """Answers as Prefect does with PREFECT_SERVER_API_AUTH_STRING: its health to all, the rest with the password."""

    def do_GET(self) -> None:
        asked = f"Basic {base64.b64encode(LOGIN.encode()).decode()}"
        known = self.path.endswith("/health") or self.headers["Authorization"] == asked
        self.send_response(200 if known else 401)
        self.end_headers()
        self.wfile.write(b"{}")

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None: ...


class _Busy(_Guarded):
    """Answers as Prefect does while another request holds the lock of its database: twice."""

    bodies: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(503 if self.path.endswith("/for-ever") or len(self.bodies) <= 2 else 200)
        self.end_headers()
        self.wfile.write(b'{"exception_message":"Service Unavailable"}')


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/api"
    server.shutdown()
    server.server_close()


@pytest.fixture
def address() -> Iterator[str]:
    with _serving(_Guarded) as address:
        yield address


def test_a_busy_server_is_asked_again() -> None:
    """Two workers that start together create their queues at the same time."""
    _Busy.bodies.clear()
    with _serving(_Busy) as address:
        assert PrefectApi(address).post("/queues", {"name": "film"}) is not None
        assert _Busy.bodies == [b'{"name": "film"}'] * 3
        with pytest.raises(PrefectApiError, match=r"POST .*/for-ever: 503 .*Service Unavailable"):
            PrefectApi(address, patience_s=0.3).post("/for-ever", {})


def test_the_password_is_sent(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", LOGIN)
    assert PrefectApi(address).get("/flows") == {}


def test_without_the_password_the_message_says_what_to_set(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "team:wr0ng")
    with pytest.raises(UsageError, match="PREFECT_API_AUTH_STRING=USER:PASSWORD") as caught:
        PrefectApi(address).get("/flows")
    assert isinstance(caught.value, PrefectLoginError)
    assert "wr0ng" not in str(caught.value)


def test_an_address_with_a_password_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://team:s3cr3t@127.0.0.1:4200/api")
    for call in (known_api_url, find_api):
        with pytest.raises(UsageError, match="PREFECT_API_AUTH_STRING") as caught:
            call()
        assert "s3cr3t" not in str(caught.value)


def test_status_says_that_the_server_asks_for_a_password(
    address: str, make_project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", address)
    found = status.collect(make_project(), datetime.now(UTC))
    assert not found.answers
    assert "PREFECT_API_AUTH_STRING" in found.services[0].note
