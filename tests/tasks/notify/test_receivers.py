"""Receivers are kept in a file of the owner, and no text shows their secrets."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from tasks.notify.receivers import (
    SETTINGS_FILE,
    Mailbox,
    Webhook,
    add_receiver,
    read_settings,
    receivers,
    remove_receiver,
)
from tasks.shared.errors import UsageError

SLACK = "https://hooks.slack.com/services/T000/B000/s3cr3t"
SMTP = "smtps://film:p%40ss@mail.example.com:465"


def webhook(url: str = SLACK) -> Webhook:
    return Webhook(webhook=SecretStr(url))


def test_a_file_of_the_owner_that_git_ignores(film: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=film, check=True)
    add_receiver(film, webhook())
    add_receiver(film, Mailbox(mail_to="a@b.c", smtp=SecretStr(SMTP)))
    assert stat.S_IMODE((film / SETTINGS_FILE).stat().st_mode) == 0o600
    found = receivers(film)
    assert [receiver.secret for receiver in found] == [SLACK, SMTP]
    status = subprocess.run(["git", "status", "--porcelain", "-uall"], cwd=film, check=True, capture_output=True)
    assert b".stylereel" not in status.stdout
    assert remove_receiver(film, 1).secret == SLACK
    assert [receiver.secret for receiver in receivers(film)] == [SMTP]


def test_the_environment_adds_receivers(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_receiver(film, webhook())
    monkeypatch.setenv("STYLEREEL_WEBHOOK_URL", SLACK)
    assert len(receivers(film)) == 1, "the same one"
    monkeypatch.setenv("STYLEREEL_SMTP_URL", SMTP)
    with pytest.raises(UsageError, match="STYLEREEL_MAIL_TO"):
        receivers(film)
    monkeypatch.setenv("STYLEREEL_MAIL_TO", "a@b.c")
    assert [type(receiver) for receiver in receivers(film)] == [Webhook, Mailbox]


def test_no_text_shows_a_secret(film: Path) -> None:
    both = (webhook(), Mailbox(mail_to="a@b.c", smtp=SecretStr(SMTP)))
    assert not [
        text for each in both for text in (repr(each), str(each), each.masked()) if "s3cr3t" in text or "p%40" in text
    ]
    with pytest.raises(ValidationError) as refused:
        webhook("hooks.slack.com/s3cr3t")
    assert "s3cr3t" not in str(refused.value)
    (film / ".stylereel").mkdir()
    for text in ("receivers: [{webhook: s3cr3t}]", "receivers: [s3cr3t", "receivers: [{webhok: https://a/s3cr3t}]"):
        (film / SETTINGS_FILE).write_text(text)
        with pytest.raises(UsageError, match=r"notify\.yaml") as wrong:
            read_settings(film)
        assert "s3cr3t" not in str(wrong.value)


def test_a_mail_address_has_one_line() -> None:
    with pytest.raises(ValidationError, match="e-mail address"):
        Mailbox(mail_to="a@b.c\nBcc: x@y.z", smtp=SecretStr(SMTP))


def test_a_number_that_is_not_there(film: Path) -> None:
    add_receiver(film, webhook())
    with pytest.raises(UsageError, match="already"):
        add_receiver(film, webhook())
    with pytest.raises(UsageError, match="1 receivers, and no number 2"):
        remove_receiver(film, 2)
