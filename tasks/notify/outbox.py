"""Outbox: a message is kept in .stylereel/outbox until its receiver has taken it, and sent with the next one.

A receiver that is down or slow delays a run by ``WITHIN_S`` at the most, and never fails it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.state_folder import STATE_FOLDER
from tasks.notify.mail import mail
from tasks.notify.messages import DeliveryError, Message
from tasks.notify.receivers import Receiver, Webhook, key_of, receivers
from tasks.notify.webhook import post

log = logging.getLogger(__name__)

OUTBOX = Path(STATE_FOLDER) / "outbox"
WITHIN_S = 10.0
_SOCKET_S = 5.0
_KEPT_S = 7 * 86400.0
"""An older message is about a night that nobody asks about any more."""


@dataclass
class Delivery:
    """How the messages for one receiver went.

    Attributes:
        receiver: masked.
        error: why it did not take them, without secrets; empty if it took all.
    """

    receiver: str
    error: str = ""


@dataclass
class _Queue:
    """The messages for one receiver, the oldest first."""

    root: Path
    receiver: Receiver
    unstored: list[Message] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.root / OUTBOX / key_of(self.receiver)

    def add(self, message: Message) -> None:
        path = self.folder / f"{time.time_ns()}-{os.urandom(4).hex()}.json"
        try:
            write_bytes_atomically(path, message.model_dump_json().encode())
        except OSError:  # a full disk is reported, too
            self.unstored.append(message)

    def deliver(self, result: Delivery) -> None:
        """Sends message by message until one is not taken; ``result`` gets the reason."""
        try:
            if self.folder.is_dir():
                with FileLock(self.folder / "lock", timeout=0):  # another process may be at it
                    for path in sorted(self.folder.glob("[0-9]*.json")):
                        self._deliver_file(path)
            for message in self.unstored:
                _deliver(self.receiver, message)
            result.error = ""
        except DeliveryError as error:
            result.error = str(error)
        except Timeout:
            result.error = f"{self.receiver.masked()}: another process is sending to it"
        except OSError as error:
            result.error = f"{self.folder} cannot be read: {error.strerror}"

    def _deliver_file(self, path: Path) -> None:
        try:
            message = Message.model_validate_json(path.read_bytes())
        except ValueError:  # not written by this program
            path.unlink()
            return
        if time.time() - path.stat().st_mtime <= _KEPT_S:
            _deliver(self.receiver, message)
        path.unlink()


def send(root: Path, message: Message, *, within_s: float = WITHIN_S) -> list[Delivery]:
    """Sends a message, and those that are still in the outbox, to all receivers.

    Args:
        root: the project.
        message: for all receivers.
        within_s: later, delivery goes on in the background, and what is not sent stays in the outbox.

    Returns:
        One result for each receiver.

    Raises:
        UsageError: the settings of the receivers are wrong.
    """
    queues = [_Queue(root, receiver) for receiver in receivers(root)]
    for queue in queues:
        queue.add(message)
    return _deliver_all(queues, within_s)


def flush(root: Path, *, within_s: float = WITHIN_S) -> list[Delivery]:
    """Sends what is still in the outbox; see ``send``."""
    queues = [_Queue(root, receiver) for receiver in receivers(root)]
    return _deliver_all([queue for queue in queues if any(queue.folder.glob("[0-9]*.json"))], within_s)


def _deliver_all(queues: list[_Queue], within_s: float) -> list[Delivery]:
    deadline = time.monotonic() + within_s
    begun = []
    for queue in queues:
        result = Delivery(queue.receiver.masked(), f"{queue.receiver.masked()} has not answered within {within_s:g} s")
        # Timeouts of sockets do not limit name look-ups or an answer that comes byte by byte: the thread is left alone.
        thread = threading.Thread(target=queue.deliver, args=(result,), daemon=True)
        thread.start()
        begun.append((thread, result))
    for thread, _ in begun:
        thread.join(max(0.0, deadline - time.monotonic()))
    results = [Delivery(result.receiver, result.error) for _, result in begun]
    for result in results:
        if result.error:
            log.warning("a message is kept and sent with the next one: %s", result.error)
    return results


def _deliver(receiver: Receiver, message: Message) -> None:
    if isinstance(receiver, Webhook):
        post(receiver, message, timeout_s=_SOCKET_S)
    else:
        mail(receiver, message, timeout_s=_SOCKET_S)
