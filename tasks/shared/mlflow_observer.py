"""Observer that logs a training's progress to its MLflow run from a thread, so that a slow store delays no step."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tasks.shared.errors import StoppedError
from tasks.shared.system_metrics import PREFIX, SystemMetrics
from tasks.shared.tracking import LoggedMetrics, best_effort, client, log_metrics

if TYPE_CHECKING:
    import numpy as np

    from stylegan_core.training.hardware import Machine

log = logging.getLogger(__name__)

_FLUSH_S = 2.0


@dataclass(frozen=True)
class _Picture:
    """A grid of pictures of one step, (H, W, 3) uint8."""

    step: int
    grid: np.ndarray[Any, Any]


class MlflowObserver:
    """Logs metrics and pictures of a training in batches, and how much the training uses the machine.

    Use as a context manager: leaving by an exception marks the run as failed, or as killed if it was stopped.

    Args:
        run_id: from ``start_training_run``; None logs nothing.
    """

    def __init__(self, run_id: str | None) -> None:
        self.run_id = run_id
        self._queue: queue.SimpleQueue[LoggedMetrics | _Picture | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._skip_to = -1
        self._step = 0
        self._system = SystemMetrics(self._system_metrics)

    def start(self, total_steps: int, resumed_from: int, machine: Machine) -> None:  # noqa: ARG002  # Observer's signature
        """Starts the thread. Metrics that an interrupted process has already sent are not sent again."""
        if self.run_id is None:
            return
        _tag_threads(self.run_id, machine.threads)
        self._skip_to = last_logged_step(self.run_id) if resumed_from > 0 else -1
        self._step = resumed_from
        self._thread = threading.Thread(target=self._send, args=(self.run_id,), name="mlflow", daemon=True)
        self._thread.start()
        self._system.start()

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Queues metrics of a step."""
        self._step = step
        if self._thread is not None and step > self._skip_to:
            self._queue.put(LoggedMetrics(step, dict(values)))

    def pictures(self, step: int, grid: np.ndarray[Any, Any]) -> None:
        """Queues a picture, (H, W, 3) uint8."""
        if self._thread is not None:
            self._queue.put(_Picture(step, grid))

    def checkpoint(self, step: int) -> None:
        """Does nothing: checkpoints stay on the machine."""

    def finish(self, result: object) -> None:  # noqa: ARG002  # Observer's signature
        """Sends what is queued and marks the run as finished."""
        self.close("FINISHED")

    def close(self, status: str) -> None:
        """Sends what is queued and marks the run; once."""
        if self._thread is None:
            return
        self._system.stop()
        self._queue.put(None)
        self._closing.set()
        self._thread.join(timeout=60)
        self._thread = None
        if self.run_id is not None:
            _set_status(self.run_id, status)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close("FINISHED")
        else:
            stopped = issubclass(kind, StoppedError) or not issubclass(kind, Exception)
            self.close("KILLED" if stopped else "FAILED")

    def _system_metrics(self, values: Mapping[str, float]) -> None:
        self._queue.put(LoggedMetrics(self._step, values))

    def _send(self, run_id: str) -> None:
        running = True
        while running:
            batch = [self._queue.get()]
            self._closing.wait(_FLUSH_S)
            while not self._queue.empty():
                batch.append(self._queue.get())
            running = None not in batch
            log_metrics(run_id, [entry for entry in batch if isinstance(entry, LoggedMetrics)])
            for entry in batch:
                if isinstance(entry, _Picture):
                    _log_picture(run_id, entry)


@best_effort
def _set_status(run_id: str, status: str) -> None:
    client().set_terminated(run_id, status)


@best_effort
def _tag_threads(run_id: str, threads: int) -> None:
    client().set_tag(run_id, "threads", str(threads))


@best_effort
def _log_picture(run_id: str, picture: _Picture) -> None:
    client().log_image(run_id, picture.grid, key="samples", step=picture.step)


def last_logged_step(run_id: str) -> int:
    """The largest step that any metric of the training has; -1 if there is none."""
    try:
        run = client().get_run(run_id)
        # A sample of the machine may have been sent before the metrics of its step.
        keys = [key for key in run.data.metrics if not key.startswith(PREFIX)]
        histories = (client().get_metric_history(run_id, key) for key in keys)
        return max((m.step for history in histories for m in history), default=-1)
    except Exception as error:
        log.warning("MLflow: cannot read run %s: %s", run_id, error)
        return -1
