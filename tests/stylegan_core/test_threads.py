"""The number of CPU threads: what the user sets, else one for each core that others leave free."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stylegan_core import threads
from stylegan_core.settings import SettingsError


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(threads.THREADS_VARIABLE, raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.parametrize(("text", "count"), [("3", 3), ("auto", None), ("", None), (" 2 ", 2)])
def test_a_request_is_a_number_or_auto(monkeypatch: pytest.MonkeyPatch, text: str, count: int | None) -> None:
    monkeypatch.setenv(threads.THREADS_VARIABLE, text)
    assert threads.requested_threads() == count


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_other_requests_are_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(threads.THREADS_VARIABLE, text)
    with pytest.raises(SettingsError, match="threads must be auto or a number"):
        threads.choose_threads()


@pytest.mark.parametrize(
    ("cores", "free", "chosen"),
    [(2, 2.0, 2), (2, 1.9, 2), (2, 1.0, 1), (2, 0.0, 1), (16, 15.1, 15), (16, 3.6, 4), (1, 0.0, 1)],
)
def test_one_thread_for_each_free_core(monkeypatch: pytest.MonkeyPatch, cores: int, free: float, chosen: int) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: cores)
    monkeypatch.setattr(threads, "free_cores", lambda: free)
    assert threads.choose_threads() == chosen


def test_what_the_user_sets_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "free_cores", lambda: pytest.fail("measured"))
    monkeypatch.setenv("OMP_NUM_THREADS", "5,2")
    assert threads.choose_threads() == 5
    monkeypatch.setenv(threads.THREADS_VARIABLE, "7")
    assert threads.choose_threads() == 7


def test_a_quota_limits_the_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(threads, "_CGROUP_QUOTA", quota)
    assert threads.usable_cores() == 8
    quota.write_text("250000 100000")
    assert threads.usable_cores() == 3
    quota.write_text("max 100000")
    assert threads.usable_cores() == 8


def test_a_busy_core_is_not_free() -> None:
    burning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        busy = min(threads.free_cores(0.3) for _ in range(3))
    finally:
        burning.kill()
        burning.wait()
    assert busy <= threads.usable_cores() - 0.5


def test_torch_uses_the_chosen_number(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    before = torch.get_num_threads()
    monkeypatch.setenv(threads.THREADS_VARIABLE, "3")
    try:
        assert threads.use_threads() == 3 == torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("module", ["flows.stylize", "flows.evaluate", "flows.train"])
def test_a_stage_computes_with_the_chosen_number(module: str) -> None:
    code = (
        f"import {module}\nfrom stylegan_core.threads import use_threads\nuse_threads()\n"
        "import torch\nfrom stylegan_core.inference.network.cpu_pool import cores, map_one_core_each\n"
        "map_one_core_each(lambda item: item, [1])\nprint(cores(), torch.get_num_threads())"
    )
    environment = {**os.environ, threads.THREADS_VARIABLE: "1", "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1"]
