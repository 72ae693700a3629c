"""Each task has the time limit of its setting, and those of params.yaml are read without being able to stop a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flows.runners.limited_runner import LimitedRunner, read_limits
from flows.runners.local_runner import LocalRunner
from stylegan_core.limits_settings import LimitsSettings
from tasks.project.params_file import render_params
from tasks.shared.child_processes.time_limit import TimeLimit, nearest_limit, time_limit
from tasks.shared.errors import TimeLimitError


def limit_within(runner: LimitedRunner, task: str) -> tuple[str, str, float] | None:
    limit = runner.run(task, nearest_limit)
    return (limit.what, limit.setting, limit.hours) if limit else None


def test_each_task_has_the_limit_of_its_setting() -> None:
    runner = LimitedRunner(LocalRunner(), LimitsSettings(train_hours=7.0, transfer_hours=0.5, stylize_hours=None))
    assert limit_within(runner, "train") == ("train", "limits.train_hours", 7.0)
    assert limit_within(runner, "push") == ("push", "limits.transfer_hours", 0.5)
    assert limit_within(runner, "stylize") is None
    assert limit_within(runner, "gate") is None, "that of the run alone"
    assert nearest_limit() is None


def test_every_stage_and_every_transfer_has_a_limit_by_default() -> None:
    runner = LimitedRunner(LocalRunner(), LimitsSettings())
    tasks = ("fetch", "prepare", "train", "evaluate", "stylize", "push", "publish")
    assert all(limit_within(runner, task) for task in tasks)


def test_no_task_begins_after_the_limit_of_the_run() -> None:
    begun: list[int] = []
    with (
        time_limit(TimeLimit.start("pipeline", "limits.run_hours", 0.0)),
        pytest.raises(TimeLimitError, match=r"^pipeline: .*limits\.run_hours"),
    ):
        LimitedRunner(LocalRunner(), LimitsSettings()).run("gate", begun.append, 1)
    assert not begun


def test_limits_are_read_from_the_project(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "params.yaml").write_text(render_params({"limits.train_hours": 3.5, "limits.run_hours": None}))
    limits = read_limits(tmp_path)
    assert (limits.train_hours, limits.run_hours, limits.prepare_hours) == (3.5, None, 24.0)
    (tmp_path / "params.yaml").write_text("limits: {train_hours: -1}\n")
    assert read_limits(tmp_path) == LimitsSettings(keep_days=0.0), "no run is removed at the default age by mistake"
    (tmp_path / "params.yaml").write_text("limits: [")
    assert read_limits(tmp_path) == LimitsSettings(keep_days=0.0), "no run is removed at the default age by mistake"
    assert caplog.text.count("time limits are the defaults") == 2
    assert "limits.train_hours" in caplog.text


@pytest.mark.parametrize("hours", ["1e9", ".inf", "0"])
def test_a_limit_for_which_the_system_cannot_wait_is_refused(
    hours: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A wait of a billion hours raises OverflowError, which would end every run."""
    (tmp_path / "params.yaml").write_text(f"limits: {{run_hours: {hours}}}\n")
    assert read_limits(tmp_path) == LimitsSettings(keep_days=0.0), "no run is removed at the default age by mistake"
    assert "limits.run_hours" in caplog.text


def test_a_look_that_finds_no_shot_reads_its_limit_without_torch() -> None:
    code = (
        "import pathlib, sys\nfrom flows.runners.limited_runner import read_limits\n"
        "read_limits(pathlib.Path())\nassert not {'torch', 'prefect'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
