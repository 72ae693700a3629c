"""Once-only reports: the same failure is reported once, until a success or seven days are between."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, Field, ValidationError

from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.state_folder import STATE_FOLDER
from tasks.notify.messages import Message
from tasks.notify.outbox import send
from tasks.notify.problems import Problem
from tasks.notify.receivers import receivers
from tasks.shared.project_identity import read_identity

log = logging.getLogger(__name__)

NOTIFIED_FILE = Path(STATE_FOLDER) / "notified.json"
AGAIN_AFTER_S = 7 * 86400.0
_LOCK_S = 30.0


class OpenProblem(BaseModel):
    """A problem that was reported, and has not ended.

    Attributes:
        problem: as it was reported.
        first_s: when it was found, seconds since 1970.
        reported_s: when it was reported last.
        times: how often it was found.
    """

    problem: Problem
    first_s: float
    reported_s: float
    times: int = 1


class Notified(BaseModel):
    """Content of .stylereel/notified.json.

    Attributes:
        open: problems by their fingerprint.
    """

    open: dict[str, OpenProblem] = Field(default_factory=dict)


def open_problems(root: Path) -> list[OpenProblem]:
    """Problems that were reported and have not ended, the oldest first."""
    return sorted(_read(root).open.values(), key=lambda each: each.first_s)


def report(root: Path, problem: Problem, now_s: float) -> bool:
    """Sends a problem, unless it was reported in the last seven days and has not ended since.

    Args:
        root: the project.
        problem: to report.
        now_s: seconds since 1970.

    Returns:
        Whether a message was sent, or kept in the outbox.

    Raises:
        UsageError: the settings of the receivers are wrong.
    """
    if not receivers(root):
        return False  # else a receiver that is added tomorrow would not get it
    name, key, new = read_identity(root).name, problem.fingerprint(), False

    def note(notified: Notified) -> None:
        nonlocal new
        known = notified.open.get(key)
        new = known is None or now_s - known.reported_s >= AGAIN_AFTER_S
        entry = OpenProblem(problem=problem, first_s=known.first_s if known else now_s, reported_s=now_s)
        if known:
            entry.times = known.times + 1
            entry.reported_s = now_s if new else known.reported_s
        notified.open[key] = entry

    _change(root, note)
    if new:
        send(root, problem.message(name))
    return new


def resolve(root: Path, work: str) -> bool:
    """Ends the problems of ``work``, and sends that it works again if there were any.

    Args:
        root: the project.
        work: see ``Problem.work``.

    Returns:
        Whether there were any.

    Raises:
        UsageError: the settings of the receivers are wrong.
    """
    ended: list[OpenProblem] = []

    def note(notified: Notified) -> None:
        for key, each in list(notified.open.items()):
            if each.problem.work == work:
                ended.append(notified.open.pop(key))

    if any(each.problem.work == work for each in open_problems(root)):
        _change(root, note)
    if ended:
        lines = tuple(f"It was: {each.problem.headline()}: {each.problem.reason}" for each in ended)
        again = "has free space again" if ended[0].problem.kind == "disk" else "works again"
        send(root, Message(title=f"[{read_identity(root).name}] {work} {again}", lines=lines))
    return bool(ended)


def _read(root: Path) -> Notified:
    try:
        return Notified.model_validate_json((root / NOTIFIED_FILE).read_bytes())
    except (OSError, ValidationError):
        return Notified()


def _change(root: Path, change: Callable[[Notified], None]) -> None:
    (root / STATE_FOLDER).mkdir(exist_ok=True)
    with FileLock(root / STATE_FOLDER / "notified.lock", timeout=_LOCK_S):
        notified = _read(root)
        change(notified)
        try:
            write_bytes_atomically(root / NOTIFIED_FILE, notified.model_dump_json(indent=1).encode())
        except OSError as error:  # a full disk: better reported twice than not at all
            log.warning("%s cannot be written (%s)", root / NOTIFIED_FILE, error.strerror)
