"""Samples of the machine's use: taken while a training runs and once more at its end, and never in its way."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest

from tasks.shared.system_metrics import SystemMetrics


def test_samples_are_taken_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # no sample is sent by MLflow itself
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.02")
    samples: list[Mapping[str, float]] = []
    sampler = SystemMetrics(samples.append)
    sampler.start()
    deadline = time.monotonic() + 60
    while len(samples) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    sampler.stop()
    taken = len(samples)
    assert taken >= 3
    for sample in samples:
        assert 0 < sample["system/system_memory_usage_percentage"] <= 100
        assert {name.partition("/")[0] for name in sample} == {"system"}
    sampler.stop()
    assert len(samples) == taken


def test_a_machine_that_cannot_be_measured_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*args: object, **kwargs: object) -> None:
        raise OSError("no /proc here")

    monkeypatch.setattr("mlflow.system_metrics.system_metrics_monitor.SystemMetricsMonitor", away)
    sampler = SystemMetrics(lambda sample: None)
    sampler.start()
    sampler.stop()
    assert "cannot measure the use of this machine" in caplog.text
    assert "no /proc here" in caplog.text
