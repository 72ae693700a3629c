"""A process beside a worker that starts the work of dead runs again while the worker lives.

A run's own process can die alone, killed because the memory is full. Prefect's worker marks such a run as crashed, and
no more. A run that the worker took just before a power cut has no process at all. ``python -m flows.services.recovery
ROOT WORKER_PID SERVED OTHERS HERE`` looks every few seconds, and ends with the worker; SERVED and OTHERS are names of
queues, separated by commas.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from pathlib import Path
from uuid import UUID

from flows.dead_runs import recover, recover_pending
from flows.stage import configure_logging

log = logging.getLogger(__name__)

_EVERY_S = 15.0
_PARENT_EVERY_S = 1.0


def start_recovery(root: Path, served_queues: Collection[str], other_queues: Collection[str], here: str) -> int:
    """Starts the process as a child of this one, which may become the worker by ``exec``; returns its id.

    Args:
        root: the checkout.
        served_queues: of the worker, whose runs it takes.
        other_queues: of the project, whose dead runs are left to their own worker.
        here: see ``dead_runs.recover``.
    """
    words = [sys.executable, "-m", "flows.services.recovery", str(root), str(os.getpid())]
    queues = [",".join(names) for names in (served_queues, other_queues)]
    return subprocess.Popen([*words, *queues, here], stdin=subprocess.DEVNULL).pid


def look_again_and_again(
    root: Path, served_queues: Collection[str], other_queues: Collection[str], here: str, every_s: float = _EVERY_S
) -> None:
    """Starts the work of dead runs again, for ever; the caller ends the process."""
    failed, pending_s = False, dict[UUID, float]()
    while True:
        time.sleep(every_s)
        try:
            again = recover(root, other_queues, here)
            again += recover_pending(root, served_queues, pending_s, here)
            for run_id in again:
                log.info("started again: flow run %s", run_id)
            failed = False
        except Exception as error:  # the server may be away, the disk full: the next look may succeed
            log.log(logging.DEBUG if failed else logging.WARNING, "cannot look for dead flow runs: %s", error)
            failed = True  # said once: it lasts as long as the server is away


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PARENT_EVERY_S)
    os._exit(0)  # in the middle of anything: a recovery that was killed is done again


if __name__ == "__main__":
    configure_logging()
    own_root, worker, *lists, own_checkout = sys.argv[1:]
    served, others = ([name for name in names.split(",") if name] for names in lists)
    threading.Thread(target=_end_with, args=(int(worker),), daemon=True).start()
    look_again_and_again(Path(own_root), served, others, own_checkout)
