"""Watch: looks for what a dead process cannot report: crashed, late and stuck runs, a dead server, a full disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.notify.outbox import flush
from tasks.notify.problems import Problem
from tasks.notify.receivers import read_settings, receivers
from tasks.notify.runs import RunNote, read_notes, write_note
from tasks.notify.sent import report, resolve
from tasks.notify.stuck import stuck_runs
from tasks.project.disks import Disk, disks

LOW_DISK_GB = 5.0
"""As `stylereel doctor` has it."""
_ENOUGH_AGAIN = 1.2
"""Times the limit: a disk whose free space swings about the limit is reported once."""
_SERVER = "the Prefect server"
_WORKER = "the Prefect worker"


@dataclass(frozen=True)
class ServerState:
    """What the Prefect server says of the project's deployments.

    Attributes:
        unreachable: why the server does not answer; empty if it does.
        dead: runs that ended failed or crashed lately; those that reported themselves are among them.
        late: runs that should have begun some time ago.
    """

    unreachable: str = ""
    dead: tuple[RunNote, ...] = ()
    late: tuple[RunNote, ...] = ()


def watch(root: Path, server: ServerState | None, *, low_disk_gb: float, now_s: float) -> list[Problem]:
    """Looks for problems, and reports those that are new; sends what is still in the outbox.

    Args:
        root: the project.
        server: None if no server is configured.
        low_disk_gb: free space below which a disk is reported.
        now_s: seconds since 1970.

    Returns:
        All problems, reported now or before.

    Raises:
        UsageError: the settings of the receivers are wrong.
    """
    receivers(root)  # an error in the settings, before anything is noted as reported
    problems = [*_crashed(root, now_s), *stuck_runs(root, now_s)]
    if server is not None:
        problems += _of_server(root, server)
    problems += _low_disks(root, low_disk_gb * 1e9)
    for problem in problems:
        report(root, problem, now_s)
    flush(root)
    return problems


def _crashed(root: Path, now_s: float) -> Iterator[Problem]:
    """Runs whose process is gone; not reported if the same work has been done since."""
    gone = {note.id for note in read_notes(root, lambda note: note.outcome == "running" and not note.is_alive())}
    # Read again: a run that ended meanwhile wrote its end before its process was gone.
    for note in read_notes(root, lambda note: note.id in gone and note.outcome == "running"):
        ended = note.model_copy(update={"outcome": "crashed", "ended_s": now_s, "reason": "its process is gone"})
        write_note(root, ended)
        known_to_automation = note.url and read_settings(root).server_reports_late
        if not known_to_automation and not _done_since(root, note):
            yield _crash_problem(root, ended)


def _crash_problem(root: Path, note: RunNote) -> Problem:
    return Problem(
        work=note.work,
        kind="crashed",
        stage=note.stage,
        reason=note.reason,
        advice=f"after a power cut, start `stylereel worker` in {root}: it resumes the work from the checkpoint. "
        "Else look for a full memory (`dmesg`), and run again",
        url=note.url,
    )


def _done_since(root: Path, note: RunNote) -> bool:
    return any(
        read_notes(root, lambda n: n.work == note.work and n.outcome == "completed" and n.begun_s > note.begun_s)
    )


def _of_server(root: Path, server: ServerState) -> list[Problem]:
    if server.unreachable:
        return [
            Problem(
                work=_SERVER,
                kind="server",
                reason=server.unreachable,
                advice="start it with `prefect server start`; until then no scheduled run begins",
            )
        ]
    resolve(root, _SERVER)
    own = {note.id for note in read_notes(root)}
    # The server's automation reports them, too.
    reported_elsewhere = read_settings(root).server_reports_late
    found = []
    for note in server.dead:
        if note.id not in own and not (reported_elsewhere and note.outcome == "crashed"):
            write_note(root, note)  # so that it is in the summary, and not found again
            if not _done_since(root, note):
                found.append(_server_problem(root, note))
    # One run at a time: a run that waits for another one is not late.
    late = [] if reported_elsewhere or any(read_notes(root, RunNote.is_alive)) else server.late
    if not server.late:
        resolve(root, _WORKER)
    for note in late[:1]:  # they have one cause
        # The same words for one and for several: more of them are not another problem.
        reason = f"runs that are late: {len(late)}, and none works; the first is of {note.work}"
        advice = f"start `stylereel worker` in {root}"
        found.append(Problem(work=_WORKER, kind="late", reason=reason, advice=advice, url=note.url))
    return found


def _server_problem(root: Path, note: RunNote) -> Problem:
    if note.outcome == "crashed":
        return _crash_problem(root, note)
    advice = f"read the run's log: it failed before the pipeline began; then try `stylereel doctor` in {root}"
    return Problem(work=note.work, kind="failed", reason=note.reason, advice=advice, url=note.url)


def _low_disks(root: Path, limit_bytes: float) -> Iterator[Problem]:
    for disk in disks(root):
        work = _disk_work(disk)
        if disk.free_bytes < limit_bytes:
            yield Problem(
                work=work,
                kind="disk",
                reason=disk.describe(),
                advice="delete what is no longer needed (`stylereel gc`, old outputs), or move the cache by "
                "STYLEREEL_CACHE_DIR",
            )
        elif disk.free_bytes > _ENOUGH_AGAIN * limit_bytes:
            resolve(root, work)


def _disk_work(disk: Disk) -> str:
    return f"the disk of {disk.name}"
