"""System metrics: samples the use of the machine, under the names that MLflow's page "System metrics" shows."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from tasks.shared.tracking import tracking_uri

log = logging.getLogger(__name__)

PREFIX = "system/"


class SystemMetrics:
    """Samples CPU, memory, disk and network, and the GPU where MLflow can read it, every 10 s and at the end.

    MLflow's monitor takes the samples but does not send them: it waits for the store, and ends for good after one
    failure. ``MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL`` sets another interval in seconds.

    Args:
        send: gets each sample, by name; called in the thread, and must not wait.
    """

    def __init__(self, send: Callable[[Mapping[str, float]], None]) -> None:
        self._send = send
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts the thread."""
        self._thread = threading.Thread(target=self._sample, name="system metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Takes a last sample and ends the thread; once."""
        if self._thread is None:
            return
        self._stopping.set()
        self._thread.join(timeout=10)
        self._thread = None

    def _sample(self) -> None:
        try:
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

            monitor = SystemMetricsMonitor(run_id=None, tracking_uri=tracking_uri())
            monitor.collect_metrics()  # the first reading of CPU use is 0: each covers the time since the one before
            stopping = False
            while not stopping:
                for part in monitor.monitors:
                    part.clear_metrics()
                stopping = self._stopping.wait(monitor.sampling_interval)
                monitor.collect_metrics()
                self._send({PREFIX + name: float(value) for name, value in monitor.aggregate_metrics().items()})
        except Exception as error:
            log.warning("MLflow: cannot measure the use of this machine, continuing without it: %s", error)
