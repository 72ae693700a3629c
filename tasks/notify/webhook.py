"""Delivery to a Slack-compatible webhook: one POST of JSON with a field ``text``."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from email.message import Message as Headers
from typing import IO

from tasks.notify.messages import DeliveryError, Message
from tasks.notify.receivers import Webhook

_ESCAPED = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))
"""Slack reads these as markup: a reason such as "<b> & co" would become a broken link."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would turn the POST into a GET without the message, and may lead to another host."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Headers, newurl: str
    ) -> None:
        """Follows none."""


def post(receiver: Webhook, message: Message, *, timeout_s: float) -> None:
    """Posts a message.

    urllib instead of httpx, which logs every URL, and this URL is a secret.

    Args:
        receiver: its URL.
        message: its text.
        timeout_s: of each socket operation; the caller limits the whole.

    Raises:
        DeliveryError: no answer, or an answer that is not 2xx.
    """
    text = message.text()
    for character, entity in _ESCAPED:
        text = text.replace(character, entity)
    request = urllib.request.Request(
        receiver.secret,
        data=json.dumps({"text": text}).encode(),
        headers={"Content-Type": "application/json; charset=utf-8", "User-Agent": "stylereel"},
        method="POST",
    )
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout_s) as answer:
            answer.read(1024)
    except urllib.error.HTTPError as error:
        error.close()
        raise DeliveryError(f"{receiver.masked()} answered {error.code}: check the URL of the webhook") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise DeliveryError(f"{receiver.masked()} cannot be reached ({type(reason).__name__})") from None
