"""The command that becomes Prefect's worker."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from flows.cli.operations.worker import _become


@pytest.fixture
def in_the_background() -> Iterator[None]:
    """As a job that a script starts with `&`: SIGINT is ignored."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("in_the_background")
def test_prefects_worker_can_stop_itself_by_sigint(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[object] = []
    monkeypatch.setattr(os, "execv", lambda program, words: found.extend([signal.getsignal(signal.SIGINT), program]))
    _become(["python", "-m", "prefect"])
    assert found == [signal.SIG_DFL, "python"]
