"""Watch finds what a dead process cannot report, and says it once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.notify import watch as watch_module
from tasks.notify.problems import Problem
from tasks.notify.receivers import NotifySettings, write_settings
from tasks.notify.runs import RUN_NOTES, RunNote, begin_run, read_notes, write_note
from tasks.notify.watch import ServerState, watch
from tasks.project import disks as disks_module
from tasks.project.disks import Disk, disks, dvc_storage
from tests.tasks.notify.local_receivers import WebhookReceiver

HOUR_S = 3600.0


@pytest.fixture(autouse=True)
def large_disk(monkeypatch: pytest.MonkeyPatch) -> list[Disk]:
    """The disks that watch sees; the test may replace them."""
    found = [Disk("the project", Path("/film"), 900_000_000_000, 1_000_000_000_000)]
    monkeypatch.setattr(watch_module, "disks", lambda _: found)
    return found


def look(film: Path, server: ServerState | None = None, now_s: float | None = None) -> list[Problem]:
    return watch(film, server, low_disk_gb=5.0, now_s=time.time() if now_s is None else now_s)


def kill_a_run(film: Path, run_id: str) -> None:
    code = (
        "import os, signal, sys, time\nfrom pathlib import Path\nfrom tasks.notify.runs import begin_run\n"
        "begin_run(Path(sys.argv[1]), sys.argv[2], 'pipeline', url='', now_s=time.time())\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(film), run_id], check=False).returncode == -9


def past(film: Path, hours: float, *, ago_h: float = 48.0) -> None:
    begun_s = time.time() - ago_h * HOUR_S
    note = RunNote(id=f"past-{ago_h}", work="pipeline", begun_s=begun_s, ended_s=begun_s + hours * HOUR_S)
    write_note(film, note.model_copy(update={"outcome": "completed"}))


def run_since(film: Path, hours: float) -> None:
    begin_run(film, "now", "pipeline", url="", now_s=time.time() - hours * HOUR_S)


def test_a_killed_run_is_reported_once(film: Path, posting: WebhookReceiver) -> None:
    kill_a_run(film, "a")
    assert [problem.headline() for problem in look(film)] == ["pipeline ended without a word"]
    assert look(film) == []
    kill_a_run(film, "b")
    assert len(look(film)) == 1, "found"
    assert len(posting.texts) == 1, "but reported before"
    assert {note.outcome for note in read_notes(film)} == {"crashed"}


def test_a_killed_run_whose_work_is_done_is_not_reported(film: Path, posting: WebhookReceiver) -> None:
    kill_a_run(film, "a")
    again = begin_run(film, "b", "pipeline", url="", now_s=time.time() + 1)
    write_note(film, again.model_copy(update={"outcome": "completed", "ended_s": again.begun_s + 1}))
    assert look(film) == []
    assert posting.texts == []


def test_a_living_run_and_one_of_another_machine_are_not_crashed(film: Path, posting: WebhookReceiver) -> None:
    note = begin_run(film, "now", "pipeline", url="", now_s=time.time())
    write_note(film, note.model_copy(update={"id": "far", "host": "another", "pid": 1}))
    assert look(film) == []
    write_note(film, note.model_copy(update={"process_begun_s": 5.0}))
    assert [problem.kind for problem in look(film)] == ["crashed"], "the id belongs to a younger process"


def test_a_run_is_stuck_if_it_is_long_and_quiet(film: Path, posting: WebhookReceiver) -> None:
    past(film, 1.0)
    run_since(film, 3.0)
    (problem,) = look(film)
    assert problem.kind == "stuck"
    assert "it has run for 3.0 h (the longest of the last 1 took 1.0 h)" in problem.reason
    look(film, now_s=time.time() + HOUR_S)
    assert len(posting.texts) == 1
    checkpoint = Path(os.environ["STYLEREEL_CACHE_DIR"]) / "train" / "key" / "checkpoint-1.safetensors"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"")
    assert look(film) == [], "it wrote a checkpoint"


@pytest.mark.parametrize(("past_h", "age_h", "stuck"), [(2.0, 3.0, False), (0.1, 0.5, False), (None, 3.0, False),
                                                       (None, 7.0, True)])  # fmt: skip
def test_the_limits_of_stuck_runs(
    film: Path, posting: WebhookReceiver, past_h: float | None, age_h: float, stuck: bool
) -> None:
    if past_h is not None:
        past(film, past_h)
    run_since(film, age_h)
    assert bool(look(film)) is stuck


def dead(run_id: str, outcome: str = "crashed") -> RunNote:
    note = RunNote(id=run_id, work="pipeline", begun_s=time.time() - 60, ended_s=time.time(), reason="exit code 1")
    return note.model_copy(update={"outcome": outcome})


def test_a_run_that_died_before_it_could_note_itself(film: Path, posting: WebhookReceiver) -> None:
    server = ServerState(dead=(dead("a"), dead("b", "failed")))
    assert [problem.kind for problem in look(film, server)] == ["crashed", "failed"]
    assert look(film, server) == [], "noted now"
    assert len(posting.texts) == 2


def test_a_run_that_reported_itself_is_not_reported_by_the_server_again(film: Path, posting: WebhookReceiver) -> None:
    write_note(film, dead("a", "failed"))
    assert look(film, ServerState(dead=(dead("a", "failed"),))) == []


def test_late_runs_mean_a_missing_worker_unless_one_works(film: Path, posting: WebhookReceiver) -> None:
    server = ServerState(late=(dead("a", "running"), dead("b", "running")))
    note = begin_run(film, "now", "pipeline", url="", now_s=time.time())
    assert look(film, server) == []
    write_note(film, note.model_copy(update={"outcome": "completed"}))
    (problem,) = look(film, server)
    assert problem.reason == "runs that are late: 2, and none works; the first is of pipeline"
    look(film, ServerState(late=server.late[:1]))
    assert look(film, ServerState()) == []
    titles = [text.splitlines()[0] for text in posting.texts]
    assert titles == ["[film] the Prefect worker does not start", "[film] the Prefect worker works again"]


def test_a_dead_server_and_its_return(film: Path, posting: WebhookReceiver) -> None:
    down = ServerState(unreachable="no answer from 127.0.0.1:4200")
    assert [problem.kind for problem in look(film, down)] == ["server"]
    look(film, down)
    look(film, ServerState())
    titles = [text.splitlines()[0] for text in posting.texts]
    assert titles == ["[film] the Prefect server does not answer", "[film] the Prefect server works again"]


def test_the_server_reports_late_and_crashed_runs_itself(film: Path, posting: WebhookReceiver) -> None:
    write_settings(film, NotifySettings(server_reports_late=True))
    state = ServerState(dead=(dead("a"), dead("b", "failed")), late=(dead("c", "running"),))
    assert [problem.kind for problem in look(film, state)] == ["failed"]
    kill_a_run(film, "by hand")
    killed = next(note for note in read_notes(film) if note.id == "by hand")
    write_note(film, killed.model_copy(update={"id": "d", "url": "http://127.0.0.1:4200/runs/flow-run/d"}))
    assert [problem.work for problem in look(film, state)] == ["pipeline"], "the run by hand alone"
    assert {note.id: note.outcome for note in read_notes(film)}["d"] == "crashed"


def test_a_low_disk_and_its_return(film: Path, posting: WebhookReceiver, large_disk: list[Disk]) -> None:
    full, half, free = (Disk("the cache", Path("/c"), n * 10**9, 10**12) for n in (4, 5, 7))
    for disk, kinds in ((full, ["disk"]), (full, ["disk"]), (half, []), (full, ["disk"]), (free, [])):
        large_disk[:] = [disk]
        assert [problem.kind for problem in look(film)] == kinds
    titles = [text.splitlines()[0] for text in posting.texts]
    assert titles == [
        "[film] the disk of the cache is nearly full",
        "[film] the disk of the cache has free space again",
    ]
    assert "4.0 GB free of 1000 at /c" in posting.texts[0]


def test_the_outbox_is_sent_with_the_next_look(film: Path, posting: WebhookReceiver) -> None:
    posting.status = 500
    kill_a_run(film, "a")
    look(film)
    posting.status = 200
    look(film)
    assert len(posting.texts) == 1


def test_old_notes_are_removed(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.notify.runs._MOST_NOTES", 3)
    for number in range(5):
        begin_run(film, str(number), "pipeline", url="", now_s=float(number))
    (film / RUN_NOTES / "torn.json").write_text("{")
    assert [note.id for note in read_notes(film)] == ["2", "3", "4"]


def test_disks_of_a_project(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dvc_storage(film) is None
    (film / ".dvc").mkdir()
    (film / ".dvc/config").write_text("[core]\n    remote = storage\n['remote \"storage\"']\n    url = ../../storage\n")
    assert dvc_storage(film) == film.parent, "the folder is not there yet"
    (film.parent / "storage").mkdir()
    assert dvc_storage(film) == film.parent / "storage"
    assert [disk.name for disk in disks(film)] == ["the project"], "one disk holds all"
    (film / ".dvc/config.local").write_text("['remote \"storage\"']\n    url = s3://bucket/film\n")
    assert dvc_storage(film) is None
    monkeypatch.setattr(disks_module, "cache_folder", lambda: film / "unmounted")
    assert [disk.name for disk in disks(film)] == ["the project"]
