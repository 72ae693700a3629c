"""A project on loopback receivers, with a cache of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tasks.notify.local_receivers import MailReceiver, WebhookReceiver, mail_receiver, webhook_receiver

_VARIABLES = ("WEBHOOK_URL", "SMTP_URL", "MAIL_TO", "MAIL_FROM")


@pytest.fixture
def film(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project called film, without receivers."""
    for name in _VARIABLES:
        monkeypatch.delenv(f"STYLEREEL_{name}", raising=False)
    (workplace / "project.yaml").write_text("name: film\nid: 0123456789ab\n")
    return workplace


@pytest.fixture
def webhook() -> Iterator[WebhookReceiver]:
    with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture
def mailbox() -> Iterator[MailReceiver]:
    with mail_receiver() as receiver:
        yield receiver


@pytest.fixture
def posting(film: Path, webhook: WebhookReceiver, monkeypatch: pytest.MonkeyPatch) -> WebhookReceiver:
    """The webhook as the project's only receiver."""
    monkeypatch.setenv("STYLEREEL_WEBHOOK_URL", webhook.url)
    return webhook
