"""Runs that died are found by their lock, marked once, and started again once."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from filelock import FileLock
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Cancelling, Completed, Pending, Running

from flows import dead_runs
from flows.dead_runs import alive, mark_timed_out, recover, recover_pending


class _Client:
    """What a server knows: runs by id, and those that were created."""

    api_url = "http://127.0.0.1:4200/api"

    def __init__(self) -> None:
        self.runs: dict[UUID, Any] = {}
        self.created: dict[str, Any] = {}
        self.down_polls = 0

    def add(
        self, *, state: Any = None, deployment: UUID | None = None, tags: tuple[str, ...] = (), queue: str = "film"
    ) -> str:
        run = SimpleNamespace(
            id=uuid4(), name="calm-heron", state=state or Running(), deployment_id=deployment, tags=list(tags),
            parameters={"scheduled": True}, work_queue_name=queue,
        )  # fmt: skip
        self.runs[run.id] = run
        return str(run.id)

    def api_healthcheck(self) -> Exception | None:
        self.down_polls -= 1
        return ConnectionError("refused") if self.down_polls >= 0 else None

    def read_flow_run(self, run_id: UUID) -> Any:
        if run_id not in self.runs:
            raise ObjectNotFound(Exception("404"))
        return self.runs[run_id]

    def read_flow_runs(self, flow_run_filter: Any) -> list[Any]:
        found = list(self.runs.values())
        if flow_run_filter.tags is not None:
            (tag,) = flow_run_filter.tags.all_
            return [run for run in found if tag in run.tags]
        of_types, of_queues = flow_run_filter.state.type.any_, flow_run_filter.work_queue_name.any_
        return [run for run in found if run.state.type in of_types and run.work_queue_name in of_queues]

    def set_flow_run_state(self, run_id: UUID, state: Any, force: bool) -> None:
        assert force
        self.runs[run_id].state = state

    def create_flow_run_from_deployment(self, deployment_id: UUID, *, idempotency_key: str, **facts: Any) -> Any:
        fresh = SimpleNamespace(id=uuid4(), name="new-otter", deployment_id=deployment_id, **facts)
        return self.created.setdefault(idempotency_key, fresh)

    def __enter__(self) -> _Client:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> _Client:
    client = _Client()
    monkeypatch.setattr(dead_runs, "_client", lambda: client)
    monkeypatch.setattr(dead_runs, "_POLL_S", 0.0)
    return client


def kill_a_run(root: Path, run_id: str) -> None:
    """A process that holds the run's lock and is killed."""
    code = (
        "import sys, os, signal, pathlib\nfrom flows import dead_runs\nfrom flows.dead_runs import alive\n"
        "dead_runs._mark_dead_runs = lambda *_: None  # else Prefect would start a server of its own\n"
        "with alive(pathlib.Path(sys.argv[1]), sys.argv[2]):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(root), run_id], check=False)
    assert done.returncode == -9


def state_of(client: _Client, run_id: str) -> str:
    return str(client.runs[UUID(run_id)].state.type.value)


def test_a_killed_run_is_marked_with_its_stages_and_started_again_once(tmp_path: Path, client: _Client) -> None:
    deployment = uuid4()
    dead = client.add(deployment=deployment, tags=("stylereel",))
    stage, done = (client.add(tags=(f"pipeline:{dead}",), state=state) for state in (Running(), Completed()))
    kill_a_run(tmp_path, dead)
    (again,) = recover(tmp_path)
    assert [state_of(client, run) for run in (dead, stage, done)] == ["CRASHED", "CRASHED", "COMPLETED"]
    (fresh,) = client.created.values()
    assert (str(fresh.id), fresh.deployment_id, fresh.parameters) == (again, deployment, {"scheduled": True})
    assert fresh.tags == ["stylereel", "started-again-1"]
    assert recover(tmp_path) == []
    assert len(client.created) == 1


def test_a_recovery_that_was_killed_itself_starts_nothing_twice(
    tmp_path: Path, client: _Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_a_run(tmp_path, client.add(deployment=uuid4()))
    with monkeypatch.context() as patch:
        patch.setattr(dead_runs, "_forget", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            recover(tmp_path)
    assert len(recover(tmp_path)) == 1
    assert len(client.created) == 1


def test_a_run_that_was_ended_on_purpose_is_not_started_again(tmp_path: Path, client: _Client) -> None:
    cancelled = client.add(deployment=uuid4(), state=Cancelled())
    kill_a_run(tmp_path, cancelled)  # at the end of the grace
    assert recover(tmp_path) == []
    assert state_of(client, cancelled) == "CANCELLED"


def test_a_run_that_is_being_cancelled_is_not_started_again(tmp_path: Path, client: _Client) -> None:
    cancelling = client.add(deployment=uuid4(), state=Cancelling())
    kill_a_run(tmp_path, cancelling)
    assert recover(tmp_path) == []
    assert state_of(client, cancelling) == "CANCELLED"


def test_a_run_that_is_tried_again_keeps_its_id_and_is_not_dead(tmp_path: Path, client: _Client) -> None:
    run = client.add(deployment=uuid4())
    kill_a_run(tmp_path, run)
    with alive(tmp_path, run):
        assert state_of(client, run) == "RUNNING"


def test_work_that_dies_every_time_is_given_up(
    tmp_path: Path, client: _Client, caplog: pytest.LogCaptureFixture
) -> None:
    run = client.add(deployment=uuid4(), tags=("stylereel", "started-again-2"))
    kill_a_run(tmp_path, run)
    assert len(recover(tmp_path)) == 1
    (last,) = client.created.values()
    assert last.tags == ["stylereel", "started-again-3"]
    run = client.add(deployment=uuid4(), tags=("started-again-3",))
    kill_a_run(tmp_path, run)
    assert recover(tmp_path) == []
    assert "is not started again" in caplog.text


def test_a_living_run_is_left_alone(tmp_path: Path, client: _Client) -> None:
    run = client.add(deployment=uuid4())
    with alive(tmp_path, run):
        assert recover(tmp_path) == []
    assert state_of(client, run) == "RUNNING"
    assert recover(tmp_path) == []


def test_a_run_that_fails_is_not_dead(tmp_path: Path, client: _Client) -> None:
    with pytest.raises(ValueError, match="a stage"), alive(tmp_path, client.add()):
        raise ValueError("a stage failed")
    assert recover(tmp_path) == []


def test_the_next_run_marks_the_dead_one_where_no_worker_has(tmp_path: Path, client: _Client) -> None:
    dead = client.add(deployment=uuid4())
    kill_a_run(tmp_path, dead)
    with alive(tmp_path, client.add()):
        assert state_of(client, dead) == "CRASHED"
    assert not client.created


def test_a_run_works_though_a_dead_one_cannot_be_marked(
    tmp_path: Path, client: _Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kill_a_run(tmp_path, client.add())
    monkeypatch.setattr(client, "set_flow_run_state", lambda *_, **__: (_ for _ in ()).throw(OSError("refused")))
    with alive(tmp_path, client.add()):
        pass
    assert "cannot mark dead flow runs" in caplog.text


def test_a_run_without_deployment_and_one_that_the_server_does_not_know_are_forgotten(
    tmp_path: Path, client: _Client
) -> None:
    by_hand, unknown = client.add(), str(uuid4())
    kill_a_run(tmp_path, by_hand)
    (tmp_path / ".stylereel" / "runs" / f"{unknown}.lock").touch()
    assert recover(tmp_path) == []
    assert state_of(client, by_hand) == "CRASHED"
    assert not list((tmp_path / ".stylereel" / "runs").iterdir())


def test_each_worker_resumes_the_runs_of_its_own_queue(tmp_path: Path, client: _Client) -> None:
    """And a run on demand, which may begin before the trainings' worker, does not take a dead training from it."""
    training, folder = (client.add(deployment=uuid4(), queue=name) for name in ("film", "film-on-demand"))
    for run in (training, folder):
        kill_a_run(tmp_path, run)
    assert len(recover(tmp_path, ["film"])) == 1
    assert [state_of(client, run) for run in (training, folder)] == ["RUNNING", "CRASHED"]
    with alive(tmp_path, client.add(queue="film-on-demand")):
        assert state_of(client, training) == "CRASHED"
    assert len(recover(tmp_path, ["film-on-demand"])) == 1
    assert set(client.created) == {f"again-{training}", f"again-{folder}"}
    assert recover(tmp_path) == []


def test_a_run_is_started_again_where_its_checkpoint_is(tmp_path: Path, client: _Client) -> None:
    """Also when it dies for the second time, in the queue of the checkout, beside the worker of the other queue."""
    dead = client.add(deployment=uuid4(), queue="film")
    kill_a_run(tmp_path, dead)
    assert len(recover(tmp_path, ["film-on-demand"], ".render01-0a1b2c3d")) == 1
    assert client.created[f"again-{dead}"].work_queue_name == "film.render01-0a1b2c3d"
    again = client.add(deployment=uuid4(), queue="film.render01-0a1b2c3d")
    kill_a_run(tmp_path, again)
    assert recover(tmp_path, ["film"], ".render01-0a1b2c3d") == []
    assert len(recover(tmp_path, ["film-on-demand"], ".render01-0a1b2c3d")) == 1
    assert client.created[f"again-{again}"].work_queue_name == "film.render01-0a1b2c3d"


def test_it_waits_for_the_server(tmp_path: Path, client: _Client, caplog: pytest.LogCaptureFixture) -> None:
    kill_a_run(tmp_path, client.add(deployment=uuid4()))
    client.down_polls = 3
    with caplog.at_level(logging.INFO, "flows.dead_runs"):
        assert len(recover(tmp_path)) == 1
    assert caplog.text.count("waiting for the Prefect server at http://127.0.0.1:4200/api") == 1


def test_runs_that_a_time_limit_has_killed_are_marked(tmp_path: Path, client: _Client) -> None:
    run = client.add(deployment=uuid4())
    stage, done = (client.add(tags=(f"pipeline:{run}",), state=state) for state in (Running(), Completed()))
    mark_timed_out(run, "train: stopped by its time limit", stages_only=True)
    assert [state_of(client, each) for each in (run, stage, done)] == ["RUNNING", "FAILED", "COMPLETED"]
    mark_timed_out(run, "train: stopped by its time limit", stages_only=False)
    state = client.runs[UUID(run)].state
    assert (state.type.value, state.name, state.message) == ("FAILED", "TimedOut", "train: stopped by its time limit")
    kill_a_run(tmp_path, run)
    assert recover(tmp_path) == [], "the next scheduled run continues it"


def test_a_server_that_is_away_does_not_hide_the_time_limit(
    client: _Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(client, "read_flow_runs", lambda **_: (_ for _ in ()).throw(OSError("refused")))
    mark_timed_out(client.add(), "train: stopped", stages_only=True)
    assert "cannot mark" in caplog.text


def test_a_run_that_was_taken_and_never_began_is_started_again(
    tmp_path: Path, client: _Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = client.add(deployment=uuid4(), state=Pending())
    of_others = client.add(deployment=uuid4(), state=Pending(), queue="film-on-demand")
    at_work = client.add(deployment=uuid4(), state=Running())
    held = client.add(deployment=uuid4(), state=Pending())  # the server does not know yet that it has begun
    now_s = [0.0]
    monkeypatch.setattr(dead_runs.time, "monotonic", lambda: now_s[0])
    seen_s: dict[UUID, float] = {uuid4(): 0.0}
    lock = FileLock(tmp_path / ".stylereel/runs" / f"{held}.lock")
    Path(lock.lock_file).parent.mkdir(parents=True)
    with lock.acquire(blocking=False):
        for now_s[0], expected in ((100.0, 0), (189.0, 0), (190.0, 1), (191.0, 0)):
            assert len(recover_pending(tmp_path, ["film"], seen_s)) == expected
    assert list(client.created) == [f"again-{stuck}"]
    assert state_of(client, stuck) == "CRASHED"
    assert [state_of(client, each) for each in (of_others, at_work, held)] == ["PENDING", "RUNNING", "PENDING"]
    assert seen_s.keys() == {UUID(held)}, "runs that are not pending any more are forgotten"
