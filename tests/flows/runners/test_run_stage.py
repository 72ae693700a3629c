"""Without a server the tasks are plain functions on threads, and Prefect is not even imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from flows.runners.run_stage import run_stage


def test_a_stage_runs_plainly_without_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert run_stage("train", lambda runner: runner.run("one", len, "abc")) == 3


def test_prefect_stays_unimported_without_a_server() -> None:
    code = (
        "import sys\nfrom flows.runners.run_stage import run_stage\n"
        "run_stage('train', lambda runner: runner.map('one', str, [1, 2]))\n"
        "assert not {'prefect', 'mlflow', 'torch'} & set(sys.modules), 'a heavy import'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PATH": "/usr/bin:/bin"})
