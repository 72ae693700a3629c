"""REST client of a Prefect server. Importing Prefect's own client takes seconds, too long for ``status``."""

from __future__ import annotations

import base64
import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flows.services.service import read_record, records_folder
from tasks.shared.errors import UsageError
from tasks.shared.shown_url import shown_url

VARIABLE = "PREFECT_API_URL"
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
"""Between attempts at what a busy server has refused."""


class PrefectApiError(RuntimeError):
    """The server cannot be reached, or has refused a request."""


class PrefectLoginError(PrefectApiError, UsageError):
    """The server asks for a password, and has got none or a wrong one."""


@dataclass(frozen=True)
class PrefectApi:
    """A Prefect server.

    Attributes:
        url: of its API, as in ``PREFECT_API_URL``.
        patience_s: how long to wait for an answer, and to try again while the server is too busy for one.
    """

    url: str
    patience_s: float = 60.0

    def get(self, path: str) -> Any:
        """The object at a path, such as "/deployments/ID"; None if there is none.

        Raises:
            PrefectLoginError: the server asks for a password.
            PrefectApiError: no answer, or an error.
        """
        return self._call("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Creates or queries; see ``get``. None if the object exists already (409)."""
        return self._call("POST", path, body)

    def patch(self, path: str, body: dict[str, Any]) -> None:
        """Changes an object; see ``get``."""
        self._call("PATCH", path, body)

    def delete(self, path: str) -> None:
        """Deletes an object; see ``get``."""
        self._call("DELETE", path, None)

    def is_up(self) -> bool:
        """Whether the server answers."""
        return answers(f"{self.url}/health")

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **_authorization()}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        deadline, pause_s = time.monotonic() + self.patience_s, _FIRST_PAUSE_S
        while True:
            try:
                with urllib.request.urlopen(request, timeout=self.patience_s) as answer:
                    return json.loads(answer.read() or "null")
            except urllib.error.HTTPError as error:
                if (error.code == 404 and method != "POST") or (error.code == 409 and method == "POST"):
                    return None
                # Mostly a locked database, and nothing was done: two workers that start together meet there.
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() + pause_s > deadline:
                    raise self._refused(request, error) from error
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise PrefectApiError(f"the Prefect server at {self.url} does not answer: {error}") from error
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _refused(self, request: urllib.request.Request, error: urllib.error.HTTPError) -> PrefectApiError:
        if error.code == HTTPStatus.UNAUTHORIZED:
            return PrefectLoginError(
                f"the Prefect server at {self.url} asks for a password: set PREFECT_API_AUTH_STRING=USER:PASSWORD, "
                "as the server has it in PREFECT_SERVER_API_AUTH_STRING"
            )
        detail = error.read().decode(errors="replace")[:500]
        return PrefectApiError(f"{request.get_method()} {request.full_url}: {error.code} {detail}")


def quoted(name: str) -> str:
    """A name as part of a path."""
    return urllib.parse.quote(name, safe="")


def answers(url: str, patience_s: float = 5.0) -> bool:
    """Whether a URL answers with 200."""
    try:
        with urllib.request.urlopen(url, timeout=patience_s) as answer:
            return bool(answer.status == 200)
    except (OSError, http.client.HTTPException, ValueError):
        return False


def known_api_url() -> str | None:
    """``PREFECT_API_URL``, else that of the server that ``stylereel up`` has started; None if there is neither.

    Raises:
        UsageError: the URL has a password: it would be shown wherever the address is.
    """
    if url := os.environ.get(VARIABLE, "").rstrip("/"):
        if "@" in urllib.parse.urlsplit(url).netloc:
            raise UsageError(
                f"{VARIABLE} has a user or a password in it ({shown_url(url)}): remove it there, and set "
                "PREFECT_API_AUTH_STRING=USER:PASSWORD"
            )
        return url
    record = read_record(records_folder(), "server")
    return f"{record.address}/api" if record else None


def expected_api_url(root: Path) -> str | None:
    """The URL of the server that should be up: as ``known_api_url``, but after `stylereel down` there is none."""
    if os.environ.get(VARIABLE) or read_record(records_folder(root), "worker") is not None:
        return known_api_url()
    return None


def find_api() -> PrefectApi:
    """The server that commands use.

    Raises:
        UsageError: none is known, or it does not answer.
    """
    url = known_api_url()
    if url is None:
        raise UsageError("there is no Prefect server: start one with `stylereel up`, or set PREFECT_API_URL")
    api = PrefectApi(url)
    if not api.is_up():
        raise UsageError(f"the Prefect server at {url} does not answer: start it with `stylereel up`")
    return api


def _authorization() -> dict[str, str]:
    """Headers of servers with a password (``PREFECT_API_AUTH_STRING``) or of Prefect Cloud (``PREFECT_API_KEY``)."""
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if login := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}
    return {}
