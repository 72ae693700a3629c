"""The lock of an output folder: one run, or workers of one job; a killed holder releases it."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from contextlib import ExitStack
from pathlib import Path

import filelock
import pytest

from stylegan_core.inference.output import lock as output_lock
from stylegan_core.inference.output.lock import OutputBusyError, hold_chunk, hold_output

pytestmark = pytest.mark.skipif(output_lock.fcntl is None, reason="nothing is shared on this system")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "out" / ".stylereel"


def test_a_run_that_works_alone_excludes_all_others(state: Path) -> None:
    with hold_output(state):
        for job in (None, "a"):
            who = rf"another run works on .*out \(started by process {os.getpid()}"
            with pytest.raises(OutputBusyError, match=who), hold_output(state, job=job):
                pass
        with pytest.raises(filelock.Timeout):  # the lock of older versions, and of the trimming of the cache
            filelock.FileLock(state / "lock").acquire(timeout=0)
    with hold_output(state):
        pass


def test_workers_of_one_job_share_and_another_job_waits(state: Path) -> None:
    with ExitStack() as first, hold_output(state, job="a"):
        first.enter_context(hold_output(state, job="a"))
        first.enter_context(hold_output(state, job="a"))
        for job in (None, "b"):
            with pytest.raises(OutputBusyError), hold_output(state, job=job):
                pass
    with hold_output(state, job="b"), pytest.raises(OutputBusyError), hold_output(state, job="a"):
        pass


def test_a_waiting_run_enters_when_the_others_have_left(state: Path) -> None:
    inside, leave, seen = threading.Event(), threading.Event(), []

    def works() -> None:
        with hold_output(state, job="a"):
            inside.set()
            leave.wait(10)

    def waits() -> None:
        with hold_output(state, job="b", wait_s=None):
            seen.append(json.loads((state / "holder.json").read_text())["job"])

    threads = [threading.Thread(target=works), threading.Thread(target=waits)]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    assert not seen
    leave.set()
    for thread in threads:
        thread.join(10)
    assert seen == ["b"]


def test_many_enter_and_leave_at_once_and_jobs_never_mix(state: Path) -> None:
    """Two jobs could meet in the moment between an exclusive and a shared lock."""
    active: dict[str, int] = {"a": 0, "b": 0}
    lock, mixed, rounds = threading.Lock(), [], []

    def works(job: str) -> None:
        for _ in range(12):
            with hold_output(state, job=job, wait_s=60):
                with lock:
                    active[job] += 1
                    mixed.append(active["a"] > 0 and active["b"] > 0)
                with lock:
                    active[job] -= 1
                    rounds.append(job)

    output_lock_poll, output_lock._POLL_S = output_lock._POLL_S, 0.001
    try:
        threads = [threading.Thread(target=works, args=(job,)) for job in "aabb"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        output_lock._POLL_S = output_lock_poll
    assert len(rounds) == 48
    assert not any(mixed)


def test_the_first_and_the_last_holder_remove_temporary_files(state: Path) -> None:
    temporary = state / output_lock.TEMPORARY_FOLDER / ".f.1.tmp.png"
    temporary.parent.mkdir(parents=True)
    temporary.write_bytes(b"half")
    with hold_output(state, job="a"):
        assert not temporary.exists()
        temporary.write_bytes(b"at work")
        with hold_output(state, job="a"), hold_chunk(state, "a", 3):
            assert temporary.exists(), "another worker's file"
        assert temporary.exists()
        assert any((state / "chunks").iterdir())
    assert not temporary.exists()
    assert not (state / "chunks").exists()


def test_a_chunk_has_one_holder(state: Path) -> None:
    with hold_output(state, job="a"), hold_chunk(state, "a", 0), hold_chunk(state, "a", 1):
        with pytest.raises(OutputBusyError, match="another process is working on chunk 1"), hold_chunk(state, "a", 1):
            pass
        with pytest.raises(OutputBusyError), hold_chunk(state, "a", 1, wait_s=None, stopped=lambda: True):
            pass
        with pytest.raises(OutputBusyError), hold_chunk(state, "a", 0, wait_s=0.2):
            pass


def _hold_and_die(state: Path, ready: object) -> None:
    with hold_output(state, job="a"), hold_chunk(state, "a", 0):
        ready.set()  # type: ignore[attr-defined]
        threading.Event().wait(60)


def test_a_killed_worker_releases_its_locks(state: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    ready = context.Event()
    process = context.Process(target=_hold_and_die, args=(state, ready))
    process.start()
    try:
        assert ready.wait(60)
        with pytest.raises(OutputBusyError), hold_output(state):
            pass
        with hold_output(state, job="a"), pytest.raises(OutputBusyError), hold_chunk(state, "a", 0):
            pass
    finally:
        process.kill()
        process.join(10)
    with hold_output(state, job="a"), hold_chunk(state, "a", 0):
        pass
    with hold_output(state):
        pass


def test_a_file_system_without_locks_is_reported(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int, kind: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(output_lock.fcntl, "flock", refuse)
    with pytest.raises(OSError, match="does not support locks"), hold_output(state):
        pass
