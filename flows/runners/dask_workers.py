"""Worker processes of a local Dask cluster; a worker that ends is started again.

Dask's own nannies do so too, but never restart a worker that is killed while it starts; after two such kills a job
waits forever.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from types import TracebackType
from typing import Self

log = logging.getLogger(__name__)

_POLL_S = 0.2
_TERMINATE_S = 10.0
_MAX_PAUSE_S = 30.0
_ORPHANED_S = 30
"""How long a starting worker waits for its scheduler; a running worker that loses its scheduler ends at once."""


class LocalWorkers:
    """Worker processes, each of which runs one chunk at a time; a context manager."""

    def __init__(self, address: str, count: int, threads_each: int) -> None:
        """Stores the settings; ``__enter__`` starts the processes.

        Args:
            address: of the scheduler; workers end by themselves when it ends.
            count: of the workers; their names are 0, 1, ...
            threads_each: OpenMP threads per worker.
        """
        self._address, self._threads_each = address, threads_each
        self._processes: list[subprocess.Popen[bytes]] = []
        self._count, self._ended = count, threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="dask-workers", daemon=True)

    def __enter__(self) -> Self:
        self._processes = [self._start(name) for name in range(self._count)]
        self._supervisor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._supervisor.join()
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(_TERMINATE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _supervise(self) -> None:
        started_s = [time.monotonic()] * self._count
        pauses_s = [0.0] * self._count
        while not self._ended.wait(_POLL_S):
            for name, process in enumerate(self._processes):
                code, lived_s = process.poll(), time.monotonic() - started_s[name]
                if code is None or lived_s < pauses_s[name]:
                    continue
                log.warning("worker %d ended with code %d; restarting it", name, code)
                # A worker that fails at start is restarted after growing pauses.
                pauses_s[name] = min(_MAX_PAUSE_S, 2 * pauses_s[name] + 1) if lived_s < _TERMINATE_S else 0.0
                self._processes[name], started_s[name] = self._start(name), time.monotonic()

    def _start(self, name: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli.dask_worker", self._address, "--no-nanny", "--nthreads", "1"]
        command += ["--name", str(name), "--host", "127.0.0.1", "--no-dashboard", "--memory-limit", "0"]
        command += ["--death-timeout", str(_ORPHANED_S)]
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(self._threads_each),
            "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical",
        }
        # A new session: Ctrl+C reaches only the main process, which terminates the workers.
        return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=2, start_new_session=True)
