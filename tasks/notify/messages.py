"""A message to people: a title and lines of text, the same for webhooks and e-mail."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class DeliveryError(RuntimeError):
    """A receiver did not take a message; the text holds no secret."""


class Message(BaseModel):
    """What receivers get.

    Attributes:
        title: one line; the subject of an e-mail.
        lines: below it.
        attachment: absolute path of a file that e-mails carry, unless it is too large; empty: none.
    """

    model_config = ConfigDict(frozen=True)

    title: str
    lines: tuple[str, ...] = ()
    attachment: str = ""

    def text(self) -> str:
        """Title and lines."""
        return "\n".join((self.title, *self.lines))
