"""Receivers of messages, in .stylereel/notify.yaml or in the environment; they hold secrets and are never committed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stylegan_core.storage.atomic import write_atomically, write_bytes_atomically
from stylegan_core.storage.state_folder import STATE_FOLDER
from tasks.shared.errors import UsageError
from tasks.shared.shown_url import shown_url

SETTINGS_FILE = Path(STATE_FOLDER) / "notify.yaml"
WEBHOOK_VARIABLE = "STYLEREEL_WEBHOOK_URL"
SMTP_VARIABLE = "STYLEREEL_SMTP_URL"
MAIL_TO_VARIABLE = "STYLEREEL_MAIL_TO"
MAIL_FROM_VARIABLE = "STYLEREEL_MAIL_FROM"

_HEADER = "# Receivers of messages, kept by `stylereel notify`. It holds secrets: never commit or copy it.\n"
# hide_input_in_errors: pydantic would print the URL, which is the secret, in its error.
_MODEL = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _url(value: SecretStr, schemes: tuple[str, ...]) -> SecretStr:
    parts = urlsplit(value.get_secret_value())
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"expected a URL that begins with {' or '.join(f'{s}://' for s in schemes)} and has a host")
    return value


def _mail_address(value: str) -> str:
    # Line breaks would add headers to the mail.
    if "@" not in value or len(value.splitlines()) != 1:
        raise ValueError("expected an e-mail address such as film@example.com")
    return value


_WebUrl = Annotated[SecretStr, AfterValidator(lambda url: _url(url, ("https", "http")))]
_SmtpUrl = Annotated[SecretStr, AfterValidator(lambda url: _url(url, ("smtps", "smtp")))]
_Address = Annotated[str, AfterValidator(_mail_address)]


class Webhook(BaseModel):
    """A URL that takes JSON with a field ``text``, as Slack, Mattermost and others do.

    Attributes:
        webhook: the URL; its path is a secret.
    """

    model_config = _MODEL

    webhook: _WebUrl

    @property
    def secret(self) -> str:
        """The URL."""
        return self.webhook.get_secret_value()

    def masked(self) -> str:
        """The receiver without its secret."""
        return shown_url(self.secret, secret_path=True)


class Mailbox(BaseModel):
    """A mail address.

    Attributes:
        mail_to: the address.
        smtp: URL of the mail server, ``smtps://user:password@host:port``; ``smtp://`` begins without TLS.
        mail_from: address of the sender; default: the user of ``smtp``, or stylereel at this machine.
    """

    model_config = _MODEL

    mail_to: _Address
    smtp: _SmtpUrl
    mail_from: _Address | None = None

    @property
    def secret(self) -> str:
        """URL of the mail server."""
        return self.smtp.get_secret_value()

    def masked(self) -> str:
        """The receiver without its secret."""
        return f"{self.mail_to} by {shown_url(self.secret, secret_path=True)}"


Receiver = Webhook | Mailbox


class NotifySettings(BaseModel):
    """Content of .stylereel/notify.yaml.

    Attributes:
        receivers: in the order in which they were added.
        server_reports_late: an automation of the Prefect server reports late and crashed runs, so ``watch`` does not.
    """

    model_config = _MODEL

    receivers: tuple[Receiver, ...] = ()
    server_reports_late: bool = False


def explain(error: ValidationError) -> str:
    """The first wrong setting and what is expected, without its value, which may be a secret."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    return ".".join(str(part) for part in first["loc"]) + ": " + first["msg"].removeprefix("Value error, ")


def key_of(receiver: Receiver) -> str:
    """Name of the receiver's folder in the outbox: a digest, which does not show the secret."""
    address = receiver.mail_to if isinstance(receiver, Mailbox) else ""
    return hashlib.sha256(f"{address}\0{receiver.secret}".encode()).hexdigest()[:16]


def read_settings(root: Path) -> NotifySettings:
    """The settings of the project's file; empty ones if there is none.

    Raises:
        UsageError: the file cannot be read, or a value is not allowed; the message shows no value.
    """
    path = root / SETTINGS_FILE
    if not path.is_file():
        return NotifySettings()
    try:
        return NotifySettings.model_validate(YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {})
    except ValidationError as error:
        raise UsageError(f"{path}: {explain(error)}") from None
    except (OSError, ValueError, YAMLError) as error:
        raise UsageError(f"{path} cannot be read ({type(error).__name__}): correct it, or remove it") from None


def environment_receivers() -> tuple[Receiver, ...]:
    """Receivers of the environment variables.

    Raises:
        UsageError: a value is not allowed, or one of the two of a mailbox is missing.
    """
    found: list[Receiver] = []
    try:
        if url := os.environ.get(WEBHOOK_VARIABLE):
            found.append(Webhook(webhook=SecretStr(url)))
        smtp, mail_to = os.environ.get(SMTP_VARIABLE), os.environ.get(MAIL_TO_VARIABLE)
        if bool(smtp) != bool(mail_to):
            raise UsageError(f"e-mail requires both {SMTP_VARIABLE} and {MAIL_TO_VARIABLE}: set the other one, too")
        if smtp and mail_to:
            sender = os.environ.get(MAIL_FROM_VARIABLE) or None
            found.append(Mailbox(mail_to=mail_to, smtp=SecretStr(smtp), mail_from=sender))
    except ValidationError as error:
        raise UsageError(
            f"a variable STYLEREEL_WEBHOOK_URL, _SMTP_URL, _MAIL_TO or _MAIL_FROM: {explain(error)}"
        ) from None
    return tuple(found)


def receivers(root: Path) -> tuple[Receiver, ...]:
    """All receivers: those of the file, then those of the environment.

    Raises:
        UsageError: see ``read_settings`` and ``environment_receivers``.
    """
    return tuple(dict.fromkeys((*read_settings(root).receivers, *environment_receivers())))


def write_settings(root: Path, settings: NotifySettings) -> None:
    """Writes the project's file, readable by its owner only."""
    listed = [
        {name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in receiver if value}
        for receiver in settings.receivers
    ]
    document = {"receivers": listed, "server_reports_late": settings.server_reports_late}
    path = root / SETTINGS_FILE

    def write(temporary: Path) -> None:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as sink:
            sink.write(_HEADER)
            YAML(typ="safe").dump(document, sink)

    write_atomically(path, write)
    if not (path.parent / ".gitignore").exists():  # a project with a .gitignore of its own may not name this folder
        write_bytes_atomically(path.parent / ".gitignore", b"*\n")


def add_receiver(root: Path, receiver: Receiver) -> None:
    """Adds a receiver to the project's file.

    Raises:
        UsageError: it is there already.
    """
    settings = read_settings(root)
    if key_of(receiver) in map(key_of, settings.receivers):
        raise UsageError(f"{receiver.masked()} is a receiver already: see `stylereel notify list`")
    write_settings(root, settings.model_copy(update={"receivers": (*settings.receivers, receiver)}))


def remove_receiver(root: Path, number: int) -> Receiver:
    """Removes the receiver with this number, counted from 1 as ``stylereel notify list`` does.

    Raises:
        UsageError: the file has no such receiver.
    """
    settings = read_settings(root)
    kept = list(settings.receivers)
    if not 1 <= number <= len(kept):
        raise UsageError(
            f"{root / SETTINGS_FILE} has {len(kept)} receivers, and no number {number}: see `stylereel notify list`; "
            f"to remove those of the environment, unset {WEBHOOK_VARIABLE} or {SMTP_VARIABLE}"
        )
    removed = kept.pop(number - 1)
    write_settings(root, settings.model_copy(update={"receivers": tuple(kept)}))
    return removed
