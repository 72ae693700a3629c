"""Calls on a cluster of Dask: of local processes, whose end is awaited."""

from __future__ import annotations

import math
import operator
import os

import pytest

pytest.importorskip("distributed")

from flows.runners import dask_runner
from flows.runners.dask_runner import DaskRunner, DaskSettings, dask_client
from flows.runners.run_stage import run_stage
from tasks.shared.errors import StoppedError, UsageError


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


def test_calls_run_in_another_process_and_failures_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_runner, "MOST_DEATHS", 0)
    with dask_client(DaskSettings(workers=1)) as client:
        runner = DaskRunner(client)
        assert runner.distributed
        assert runner.run("add", lambda a, b: a + b, 2, b=3) == 5
        assert runner.map("negative", operator.neg, range(20)) == [-number for number in range(20)]
        assert runner.map("none", operator.neg, []) == []
        first, second = (runner.map("pid", _pid, [0])[0] for _ in range(2))
        assert first == second != os.getpid()
        with pytest.raises(ValueError, match="math domain"):
            runner.map("root", math.sqrt, [4.0, -1.0])
        assert runner.map("root", math.sqrt, [4.0]) == [2.0], "a failure leaves a cluster that works"
        with pytest.raises(StoppedError, match="killed 0 workers"):
            runner.map("exit", os._exit, [1])
        worker = client.scheduler_info()["workers"]
        assert all(address.startswith("tcp://127.0.0.1") for address in worker)
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def _pid(number: int) -> int:
    return os.getpid() + number


def test_a_stage_runs_on_a_cluster_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import distributed

    with distributed.LocalCluster(
        n_workers=1, processes=False, protocol="tcp://", host="127.0.0.1", dashboard_address=None
    ) as cluster:
        settings = DaskSettings(address=cluster.scheduler_address)
        assert run_stage("s", lambda runner: runner.map("square", math.sqrt, [9.0]), dask=settings) == [3.0]


def test_nobody_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_runner, "CONNECT_S", 0.5)
    with pytest.raises(UsageError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        run_stage("s", lambda runner: None, dask=DaskSettings(address="tcp://127.0.0.1:9"))
