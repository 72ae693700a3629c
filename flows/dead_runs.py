"""Flow runs that ended without a word: a power cut, SIGKILL, a machine that is out of memory.

Prefect keeps showing them as running. Each run of a deployment therefore holds a lock on a file with its id in its
checkout. The system releases the lock of a dead process, but the file stays: a file that can be locked is that of a
dead run. It is marked as crashed, and the worker starts its work again, which continues from the checkpoint.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from filelock import FileLock, Timeout

from stylegan_core.storage.state_folder import STATE_FOLDER

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

log = logging.getLogger(__name__)

_RUNS = Path(STATE_FOLDER) / "runs"
_SUFFIX = ".lock"
_REASON = "ended without a word (power cut or kill)"
_STARTED_AGAIN = "started-again-"
"""Tag of a run that does the work of a dead one, with the number of times that it was begun anew."""
QUEUE_OF_CHECKOUT = "."
"""Separates the name of a project's queue, which has no dot, from that of a checkout."""
_MOST_TIMES = 3
"""Work that kills its machine every time must not do so for ever."""
_MOST_PENDING_S = 90.0
"""Seconds, since it was first seen, after which a pending run is dead: imports take a few, on a busy machine more."""
_POLL_S = 2.0
_LOG_EVERY_S = 60.0


@contextmanager
def alive(root: Path, run_id: str) -> Iterator[None]:
    """Holds the lock of a run while it works, and marks the dead runs of the checkout as crashed.

    Args:
        root: the checkout.
        run_id: of the flow run.
    """
    lock = FileLock(root / _RUNS / f"{run_id}{_SUFFIX}")
    with _all_runs(root):  # else the file could be looked at before it is locked
        lock.acquire()
    try:
        _mark_dead_runs(root, run_id)  # with the own lock held: a run that is tried again has the id of a dead one
        yield
    finally:  # also after an error or an orderly stop, which the server is told of
        with _all_runs(root):  # else others would find the file, but not its lock
            _forget(root, run_id)
        lock.release()


def recover(root: Path, other_queues: Collection[str] = (), here: str = "") -> list[str]:
    """Starts the work of the runs that died in this checkout again; for the start of a worker, and while it works.

    Waits for the server, which may be up later than the worker.

    Args:
        root: the checkout.
        other_queues: of the project, whose dead runs are left to their own worker.
        here: appended to the name of a queue, that of this checkout: another machine has no checkpoint of the run.

    Returns:
        Ids of the new runs. A run that was ended on purpose is not started again, nor one whose work has died
        ``_MOST_TIMES`` times.
    """
    dead = _dead_runs(root)
    if not dead:
        return []
    found = []
    with _client() as client:
        _wait_for(client)
        for run_id in dead:
            run = _read(client, run_id)
            if run is not None and _queue(run) in other_queues:
                continue
            if run is not None and _mark(client, run) and (again := _start_again(client, run, here)):
                found.append(again)
            _forget(root, run_id)  # only now: a kill before this line makes the next recovery do it again
    return found


def recover_pending(root: Path, queues: Collection[str], seen_s: dict[UUID, float], here: str = "") -> list[str]:
    """Starts the work of runs again that a worker took and whose process never began; never waits for the server.

    A power cut between both leaves no lock, and Prefect's workers take runs that are scheduled only. A pipeline that is
    slow, and begins after all, waits in this checkout for the other one at its lock and finds the work done.

    Args:
        root: the checkout.
        queues: of this checkout's worker.
        seen_s: when each run was first seen as pending, on the monotonic clock; kept from one call to the next.
        here: see ``recover``; a run of the queue that all checkouts share may begin anywhere.

    Returns:
        Ids of the new runs.
    """
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
        FlowRunFilterWorkQueueName,
    )
    from prefect.client.schemas.objects import StateType

    pending = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PENDING])),
        work_queue_name=FlowRunFilterWorkQueueName(any_=list(queues)),
    )
    now_s, started = time.monotonic(), []
    with _client() as client:
        found = {run.id: run for run in client.read_flow_runs(flow_run_filter=pending)}
        for former in seen_s.keys() - found.keys():
            del seen_s[former]
        for run in found.values():
            if now_s - seen_s.setdefault(run.id, now_s) < _MOST_PENDING_S or _is_held(root, str(run.id)):
                continue
            queue = here if QUEUE_OF_CHECKOUT in (run.work_queue_name or "") else ""
            if _mark(client, run) and (again := _start_again(client, run, queue)):
                started.append(again)
        return started


def mark_timed_out(run_id: str, reason: str, *, stages_only: bool) -> None:
    """Marks the runs of a pipeline's stages that were killed at a time limit; never raises.

    Args:
        run_id: of the pipeline, or of another run.
        reason: shown as the message of their state.
        stages_only: not the run itself, which is about to end by its error.
    """
    from prefect.states import Failed

    try:
        with _client() as client:
            own = [] if stages_only else [client.read_flow_run(UUID(run_id))]
            for each in (*_stages(client, run_id), *own):
                if each.state is None or not each.state.is_final():
                    client.set_flow_run_state(each.id, Failed(name="TimedOut", message=reason), force=True)
    except Exception as error:  # without a server there is nothing to mark
        log.warning("cannot mark flow run %s as timed out: %s", run_id, error)


def _mark_dead_runs(root: Path, run_id: str) -> None:
    """Marks all, but forgets only those of the queue of ``run_id``: the other queue's worker may be about to start."""
    dead = _dead_runs(root)
    if not dead:
        return
    try:
        with _client() as client:
            own = _read(client, run_id)
            for other in dead:
                run = _read(client, other)
                if run is not None:
                    _mark(client, run)
                if run is None or own is None or _queue(run) == _queue(own):
                    _forget(root, other)
    except Exception as error:  # a healthy run is worth more than the state of a dead one
        log.warning("cannot mark dead flow runs (%s) as crashed: %s", ", ".join(dead), error)


def _all_runs(root: Path) -> FileLock:
    (root / _RUNS).mkdir(parents=True, exist_ok=True)
    return FileLock(root / STATE_FOLDER / "runs.lock")


def _dead_runs(root: Path) -> list[str]:
    """Ids of the runs whose lock nobody holds, the oldest first."""
    with _all_runs(root):
        files = sorted((root / _RUNS).glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime_ns)
        return [path.name.removesuffix(_SUFFIX) for path in files if _is_free(path)]


def _is_held(root: Path, run_id: str) -> bool:
    """Whether a process of this checkout works on the run."""
    path = root / _RUNS / f"{run_id}{_SUFFIX}"
    with _all_runs(root):
        return path.exists() and not _is_free(path)


def _is_free(path: Path) -> bool:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    lock.release()
    return True


def _forget(root: Path, run_id: str) -> None:
    (root / _RUNS / f"{run_id}{_SUFFIX}").unlink(missing_ok=True)


def _client() -> SyncPrefectClient:
    from prefect.client.orchestration import get_client

    return get_client(sync_client=True)


def _wait_for(client: SyncPrefectClient) -> None:
    """After a power cut the worker may be up before the server."""
    logged_s = -_LOG_EVERY_S
    while client.api_healthcheck() is not None:
        if time.monotonic() - logged_s >= _LOG_EVERY_S:
            logged_s = time.monotonic()
            log.info("waiting for the Prefect server at %s", client.api_url)
        time.sleep(_POLL_S)


def _mark(client: SyncPrefectClient, run: FlowRun) -> bool:
    """Marks a run and the runs of its stages, unless they have ended.

    Returns:
        Whether its work is unfinished; False: it was ended on purpose.
    """
    on_purpose = run.state is not None and run.state.is_cancelling()  # killed at the end of the grace
    unfinished = not on_purpose and (run.state is None or not run.state.is_final() or run.state.is_crashed())
    for each in (*_stages(client, str(run.id)), run):
        if each.state is None or not each.state.is_final():
            _end(client, each)
            log.warning("flow run %s (%s) %s", each.name, each.id, _REASON)
    return unfinished


def _read(client: SyncPrefectClient, run_id: str) -> FlowRun | None:
    from prefect.exceptions import ObjectNotFound

    try:
        return client.read_flow_run(UUID(run_id))
    except (ObjectNotFound, ValueError):
        return None


def _stages(client: SyncPrefectClient, run_id: str) -> list[FlowRun]:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags

    of_run = FlowRunFilter(tags=FlowRunFilterTags(all_=[f"pipeline:{run_id}"]))
    return list(client.read_flow_runs(flow_run_filter=of_run))


def _end(client: SyncPrefectClient, run: FlowRun) -> None:
    from prefect.states import Cancelled, Crashed

    cancelling = run.state is not None and run.state.is_cancelling()
    end = Cancelled(message="ended by a kill") if cancelling else Crashed(message=_REASON)
    client.set_flow_run_state(run.id, end, force=True)


def _queue(run: FlowRun) -> str:
    """The queue of the run's kind, which all checkouts of the project share."""
    return (run.work_queue_name or "").partition(QUEUE_OF_CHECKOUT)[0]


def _start_again(client: SyncPrefectClient, run: FlowRun, here: str) -> str | None:
    times = 1 + max((int(t.removeprefix(_STARTED_AGAIN)) for t in run.tags if t.startswith(_STARTED_AGAIN)), default=0)
    from prefect.exceptions import ObjectNotFound

    if run.deployment_id is None:
        return None
    if times > _MOST_TIMES:
        log.error("flow run %s is not started again: its work has died %d times; see the worker's log", run.name, times)
        return None
    # The same key for the same dead run: a second recovery finds the run that the first one made.
    try:
        again = client.create_flow_run_from_deployment(
            run.deployment_id,
            parameters=run.parameters,
            tags=[*(t for t in run.tags if not t.startswith(_STARTED_AGAIN)), f"{_STARTED_AGAIN}{times}"],
            idempotency_key=f"again-{run.id}",
            work_queue_name=f"{_queue(run)}{here}" if here and _queue(run) else None,
        )
    except ObjectNotFound:
        log.warning("flow run %s is not started again: its deployment is gone from the server", run.name)
        return None
    log.info("flow run %s does the work of %s again, from its checkpoint", again.name, run.name)
    return str(again.id)
