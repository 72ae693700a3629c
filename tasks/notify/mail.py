"""Delivery by e-mail, with TLS where the URL of the mail server says so."""

from __future__ import annotations

import mimetypes
import smtplib
import socket
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from tasks.notify.messages import DeliveryError, Message
from tasks.notify.receivers import Mailbox

LARGEST_ATTACHMENT_BYTES = 10_000_000
"""Many mail servers refuse larger mails, whose attachments grow by a third on the way."""
_PORTS = {"smtps": 465, "smtp": 25}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def mail(receiver: Mailbox, message: Message, *, timeout_s: float) -> None:
    """Sends a message.

    Args:
        receiver: address and mail server.
        message: subject, text and attachment.
        timeout_s: of each socket operation; the caller limits the whole.

    Raises:
        DeliveryError: the server cannot be reached, refuses the message or the login, or would get the password
            without encryption.
    """
    parts = urlsplit(receiver.secret)
    sender = receiver.mail_from or _default_sender(parts)
    try:
        with _connect(parts, timeout_s) as server:
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(_compose(message, sender, receiver.mail_to))
    except smtplib.SMTPResponseException as error:
        raise DeliveryError(
            f"{receiver.masked()} answered {error.smtp_code}: check user, password and sender"
        ) from None
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise DeliveryError(f"{receiver.masked()} cannot be reached ({type(error).__name__})") from None


def _connect(parts: SplitResult, timeout_s: float) -> smtplib.SMTP:
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    if parts.scheme == "smtps":
        return smtplib.SMTP_SSL(host, port, timeout=timeout_s, context=ssl.create_default_context())
    server = smtplib.SMTP(host, port, timeout=timeout_s)
    try:
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
            server.ehlo()
        elif parts.password and host not in _LOOPBACK:
            raise DeliveryError(f"smtp://***@{host} offers no TLS for the password: use smtps://")
    except BaseException:
        server.close()
        raise
    return server


def _default_sender(parts: SplitResult) -> str:
    user = unquote(parts.username or "")
    return user if "@" in user else f"stylereel@{socket.gethostname()}"


def _compose(message: Message, sender: str, to: str) -> EmailMessage:
    composed = EmailMessage()
    composed["Subject"] = " ".join(message.title.split())
    composed["From"], composed["To"] = sender, to
    composed["Date"], composed["Message-ID"] = formatdate(), make_msgid(domain="stylereel")
    composed.set_content("\n".join(message.lines) or message.title)
    path = Path(message.attachment)
    if message.attachment and path.is_file() and path.stat().st_size <= LARGEST_ATTACHMENT_BYTES:
        kind, _, subtype = (mimetypes.guess_type(path.name)[0] or "application/octet-stream").partition("/")
        composed.add_attachment(path.read_bytes(), maintype=kind, subtype=subtype, filename=path.name)
    return composed
