"""State of a shot: since when it has not changed, and how its processing ended. One small file a shot."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from stylegan_core.storage.atomic import write_bytes_atomically
from tasks.inbox.fingerprint import Fingerprint

_DIGITS = 24


class Outcome(BaseModel):
    """The end of a shot's processing.

    Attributes:
        files: ``Fingerprint.files`` of what was processed.
        result: "failed": inputs failed, or nothing could be done.
        reason: of a failure; else empty.
        model: digest of the model; empty if nothing was done.
        ended_s: time of the end, in seconds since 1970.
    """

    model_config = ConfigDict(frozen=True)

    files: str
    result: Literal["finished", "failed"]
    reason: str = ""
    model: str = ""
    ended_s: float


class ShotState(BaseModel):
    """What is known of a shot.

    Attributes:
        shot: MODEL/SHOT.
        everything: ``Fingerprint.everything`` of the last look.
        since_s: time of the first look that saw it, in seconds since 1970.
        begun: how often its processing began since then without an end.
        outcome: of the last processing that ended; None: none has.
    """

    model_config = ConfigDict(frozen=True)

    shot: str
    everything: str
    since_s: float
    begun: int = 0
    outcome: Outcome | None = None


def seen(state: ShotState | None, shot: str, now: Fingerprint, time_s: float) -> ShotState:
    """The state after a look.

    Args:
        state: before it; None: the shot is new.
        shot: MODEL/SHOT.
        now: what the look found.
        time_s: of the look.
    """
    if state is None:
        return ShotState(shot=shot, everything=now.everything, since_s=time_s)
    if state.everything != now.everything:
        return state.model_copy(update={"everything": now.everything, "since_s": time_s, "begun": 0})
    if state.since_s > time_s:  # the clock was set back
        return state.model_copy(update={"since_s": time_s})
    return state


def is_due(state: ShotState, now: Fingerprint, time_s: float, settle_s: float, *, retry: bool) -> bool:
    """Whether a shot is to be processed: it has files, has stopped growing, and these files were not processed yet.

    Two looks at least ``settle_s`` apart saw the same files. That is safe on shares whose clocks differ from ours, or
    whose modification times are coarse, if ``settle_s`` is more than one of their steps: a later change has another
    time.

    Args:
        state: after this look.
        now: what this look found.
        time_s: of this look.
        settle_s: how long a shot must not have changed.
        retry: whether to process files that failed again.
    """
    if not now.files or time_s - state.since_s < settle_s:
        return False
    if state.outcome is None or state.outcome.files != now.files:
        return True
    return retry and state.outcome.result == "failed"


class ShotStates:
    """The states of an inbox's shots, in a folder. The states of removed shots are kept: a copy is not a new shot."""

    def __init__(self, folder: Path) -> None:
        """Reads and writes nothing yet.

        Args:
            folder: created with the first state.
        """
        self._folder = folder

    def read(self, shot: str) -> ShotState | None:
        """The state of a shot; None: it is new, or its file is damaged: frames that are done are skipped anyway."""
        try:
            state = ShotState.model_validate_json(self._path(shot).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        return state if state.shot == shot else None

    def write(self, state: ShotState) -> None:
        """Writes a state, all of it or nothing."""
        write_bytes_atomically(self._path(state.shot), state.model_dump_json(indent=1).encode())

    def _path(self, shot: str) -> Path:
        # A digest, because a name with a suffix may be too long for the file system.
        return self._folder / f"{hashlib.sha256(shot.encode()).hexdigest()[:_DIGITS]}.json"
