"""Run notes: begin, end and outcome of each reported run, a file each in .stylereel/run-notes/.

The summary lists them, and ``watch`` finds in them the runs whose process is gone. The server knows neither the runs by
hand nor, after a power cut, that a process is gone; the locks of ``flows.dead_runs`` are removed by the next worker.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import psutil
from pydantic import BaseModel, ValidationError

from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.state_folder import STATE_FOLDER

RUN_NOTES = Path(STATE_FOLDER) / "run-notes"
_MOST_NOTES = 60
_SAME_START_S = 2.0
"""Two systems' clocks of one process may differ by this much; a reused process id is minutes younger."""

Outcome = Literal["running", "completed", "failed", "refused", "stopped", "crashed"]


class RunNote(BaseModel):
    """One run.

    Attributes:
        id: of the flow run; of a run without a server, any other.
        work: the flow, such as "pipeline".
        url: of the run's page; empty if unknown.
        begun_s: seconds since 1970.
        ended_s: seconds since 1970; None while it runs, or if it was not seen to end.
        outcome: how it ended.
        stage: that failed; empty if unknown.
        reason: why it failed, one line.
        pid: id of its process.
        process_begun_s: when that process began: ids are used again after a restart.
        host: its machine.
    """

    id: str
    work: str
    url: str = ""
    begun_s: float
    ended_s: float | None = None
    outcome: Outcome = "running"
    stage: str = ""
    reason: str = ""
    pid: int = 0
    process_begun_s: float = 0.0
    host: str = ""

    def is_alive(self) -> bool:
        """Whether its process exists; on another machine, whose processes are unknown, it counts as alive."""
        if self.outcome != "running":
            return False
        if self.host != platform.node():
            return True
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.process_begun_s) <= _SAME_START_S
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False


def begin_run(root: Path, run_id: str, work: str, *, url: str, now_s: float) -> RunNote:
    """Writes the note of a run of this process, and removes the oldest ones of its work."""
    note = RunNote(
        id=run_id,
        work=work,
        url=url,
        begun_s=now_s,
        pid=os.getpid(),
        process_begun_s=psutil.Process().create_time(),
        host=platform.node(),
    )
    write_note(root, note)
    same = [note.id for note in read_notes(root, lambda one: one.work == work)]  # looks at an inbox are many
    for outdated in same[:-_MOST_NOTES]:
        (root / RUN_NOTES / f"{outdated}.json").unlink(missing_ok=True)
    return note


def write_note(root: Path, note: RunNote) -> None:
    """Writes or replaces the note of a run."""
    write_bytes_atomically(root / RUN_NOTES / f"{note.id}.json", note.model_dump_json(indent=1).encode())


def read_notes(root: Path, keep: Callable[[RunNote], bool] = lambda _: True) -> list[RunNote]:
    """The notes of the project that ``keep`` accepts, the run that began first at first."""
    found = []
    for path in (root / RUN_NOTES).glob("*.json"):
        try:
            note = RunNote.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):  # removed meanwhile, or not written by this program
            continue
        if keep(note):
            found.append(note)
    return sorted(found, key=lambda note: note.begun_s)


def _modified_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
