"""Calls of programs: their lines, and their end with all that they have started."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from tasks.shared.child_processes import call as call_module
from tasks.shared.child_processes.call import call
from tasks.shared.child_processes.time_limit import HOUR_S, TimeLimit, time_limit
from tasks.shared.errors import TimeLimitError


def run(folder: Path, code: str, limit_s: float | None = None) -> tuple[int, list[str]]:
    limit = None if limit_s is None else TimeLimit.start("train", "limits.train_hours", limit_s / HOUR_S)
    with time_limit(limit):
        return call([sys.executable, "-c", code], folder, dict(os.environ))


def wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_lines_are_printed_and_the_last_are_returned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = run(tmp_path, "import sys\nfor i in range(250): print(i)\nsys.exit(7)", 600.0)
    assert (code, lines) == (7, [f"{i}\n" for i in range(50, 250)])
    assert capsys.readouterr().out.startswith("0\n1\n")


_SAVES = """
import pathlib, signal, sys, time
def save(*_):
    pathlib.Path('saved').touch()
    print('saved at step 7', flush=True)
    sys.exit(3)
signal.signal(signal.SIGTERM, save)
print('training', flush=True)
time.sleep(600)
"""


def test_at_its_limit_a_program_saves_its_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TimeLimitError, match=r"limits\.train_hours"):
        run(tmp_path, _SAVES, 5.0)
    assert (tmp_path / "saved").exists()
    assert capsys.readouterr().out == "training\nsaved at step 7\n"


_STUCK = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
ignores = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print("up", flush=True); time.sleep(600)'
child = subprocess.Popen([sys.executable, '-c', ignores])
pathlib.Path('pid').write_text(str(child.pid))
{end}
"""


@pytest.mark.parametrize("end", ["time.sleep(600)", "while True: print('busy', flush=True)"])
def test_what_ignores_the_stop_is_killed_with_its_children(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_module, "_TIME_LIMIT_STOP_S", 1.0)
    with pytest.raises(TimeLimitError):
        run(tmp_path, _STUCK.format(end=end), 5.0)
    assert wait_until_gone(int((tmp_path / "pid").read_text()))


def test_a_child_that_outlives_the_program_does_not_block_it_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the pipe of the program's lines open."""
    monkeypatch.setattr(call_module, "_TIME_LIMIT_STOP_S", 1.0)
    began_s = time.monotonic()
    with pytest.raises(TimeLimitError):
        run(tmp_path, _STUCK.format(end="sys.exit(0)"), 5.0)
    assert time.monotonic() - began_s < 60
    assert wait_until_gone(int((tmp_path / "pid").read_text()))


def test_another_error_ends_the_program_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed pipe of the caller, for example."""

    def closed(*_: object, **__: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("builtins.print", closed)
    code = "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\nprint('a', flush=True)\n"
    with pytest.raises(BrokenPipeError):
        run(tmp_path, code + "time.sleep(600)")
    assert wait_until_gone(int((tmp_path / "pid").read_text()))
