"""Messages reach webhooks and mailboxes; what a receiver did not take is kept, and a slow one delays nothing."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from tasks.notify import mail as mail_module
from tasks.notify.messages import DeliveryError, Message
from tasks.notify.outbox import OUTBOX, flush, send
from tasks.notify.receivers import Mailbox, Webhook
from tasks.notify.webhook import post
from tests.tasks.notify.local_receivers import MailReceiver, WebhookReceiver

MESSAGE = Message(title="[film] pipeline failed in train", lines=("Reason: a <b> & c",))


def kept(film: Path) -> int:
    return len(list((film / OUTBOX).glob("*/[0-9]*.json")))


def test_what_a_webhook_gets(film: Path, posting: WebhookReceiver) -> None:
    (result,) = send(film, MESSAGE)
    assert not result.error
    (request,) = posting.requests
    assert request["path"] == "/services/T000/B000/s3cr3t"
    assert request["headers"]["Content-Type"].startswith("application/json")
    assert request["json"] == {"text": "[film] pipeline failed in train\nReason: a &lt;b&gt; &amp; c"}
    assert kept(film) == 0


def test_a_receiver_that_is_down_gets_the_message_with_the_next_one(
    film: Path, posting: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    posting.status = 500
    with caplog.at_level(logging.DEBUG):
        (result,) = send(film, MESSAGE)
    assert result.error == f"http://127.0.0.1:{posting.port}/*** answered 500: check the URL of the webhook"
    assert "s3cr3t" not in caplog.text + result.error
    assert kept(film) == 1
    posting.status = 200
    send(film, Message(title="the next one"))
    assert [text.splitlines()[0] for text in posting.texts] == [MESSAGE.title, "the next one"]
    assert kept(film) == 0
    assert flush(film) == []


def test_nobody_listens(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEREEL_WEBHOOK_URL", "http://127.0.0.1:9/s3cr3t")
    (result,) = send(film, MESSAGE)
    assert result.error == "http://127.0.0.1:9/*** cannot be reached (ConnectionRefusedError)"
    assert kept(film) == 1


def test_a_slow_receiver_is_not_waited_for(film: Path, posting: WebhookReceiver) -> None:
    posting.delay_s = 3.0
    begun_s = time.monotonic()
    (result,) = send(film, MESSAGE, within_s=0.3)
    assert time.monotonic() - begun_s < 2.0
    assert "has not answered within 0.3 s" in result.error
    assert kept(film) == 1


def test_one_receiver_that_is_down_does_not_hold_the_other(
    film: Path, posting: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STYLEREEL_SMTP_URL", "smtp://127.0.0.1:9")
    monkeypatch.setenv("STYLEREEL_MAIL_TO", "a@b.c")
    results = send(film, MESSAGE)
    assert [bool(result.error) for result in results] == [False, True]
    assert len(posting.requests) == 1
    assert kept(film) == 1


def test_a_message_of_last_week_is_dropped(
    film: Path, posting: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    posting.status = 500
    send(film, MESSAGE)
    posting.status = 200
    now_s = time.time()
    monkeypatch.setattr("tasks.notify.outbox.time.time", lambda: now_s + 8 * 86400)
    assert not flush(film)[0].error
    assert posting.requests == []
    assert kept(film) == 0


def test_a_full_disk_is_reported_too(film: Path, posting: WebhookReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tasks.notify.outbox.write_bytes_atomically", full)
    send(film, MESSAGE)
    assert len(posting.requests) == 1


def test_no_redirect_is_followed(posting: WebhookReceiver) -> None:
    posting.status = 302
    with pytest.raises(DeliveryError, match="answered 302"):
        post(Webhook(webhook=SecretStr(posting.url)), MESSAGE, timeout_s=5)


def test_a_mail_with_the_review_page(film: Path, mailbox: MailReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    page = film / "review.html"
    page.write_text("<html>film</html>")
    monkeypatch.setenv("STYLEREEL_SMTP_URL", mailbox.url)
    monkeypatch.setenv("STYLEREEL_MAIL_TO", "a@b.c")
    message = MESSAGE.model_copy(update={"attachment": str(page)})
    assert not send(film, message)[0].error
    (mail,) = mailbox.mails
    assert (mail["Subject"], mail["From"], mail["To"]) == (MESSAGE.title, "film@studio", "a@b.c")
    body = mail.get_body(("plain",))
    assert body is not None
    assert body.get_content().strip() == "Reason: a <b> & c"
    (attached,) = mail.iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == ("review.html", "<html>film</html>")
    assert any(command.startswith("AUTH PLAIN") for command in mailbox.commands)
    monkeypatch.setattr(mail_module, "LARGEST_ATTACHMENT_BYTES", 3)
    send(film, message)
    assert not list(mailbox.mails[1].iter_attachments())


def test_a_refused_login_shows_no_password(mailbox: MailReceiver) -> None:
    mailbox.refuses = True
    with pytest.raises(DeliveryError, match="answered 535") as refused:
        mail_module.mail(Mailbox(mail_to="a@b.c", smtp=SecretStr(mailbox.url)), MESSAGE, timeout_s=5)
    assert "p@ss" not in str(refused.value)
    assert "p%40ss" not in str(refused.value)


def test_no_password_without_encryption(mailbox: MailReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_module, "_LOOPBACK", ())
    with pytest.raises(DeliveryError, match="use smtps"):
        mail_module.mail(Mailbox(mail_to="a@b.c", smtp=SecretStr(mailbox.url)), MESSAGE, timeout_s=5)
    assert not [command for command in mailbox.commands if command.startswith("AUTH")]
