"""A command whose reader ends early, such as ``stylereel recipes | head``, ends quietly; through the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
STYLEREEL = (sys.executable, "-m", "flows")


def test_the_commands_text_is_whole_where_it_is_read(tmp_path: Path) -> None:
    done = subprocess.run([*STYLEREEL, "--version"], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout.startswith("stylereel ")
    assert done.stdout.endswith("\n")


@pytest.mark.parametrize("arguments", ["--version", "--help", "recipes", "doctor"])
def test_a_reader_that_is_gone_ends_the_command_quietly(arguments: str) -> None:
    """The pipe has no reader from the start, so that the first write fails, whatever the machine is doing."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*STYLEREEL, *arguments.split()], stdout=writing, stderr=subprocess.PIPE, cwd=REPOSITORY, check=False
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr.decode()) == (141, "")


def test_head_takes_its_lines(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {' '.join(STYLEREEL)} recipes | head -n 1"],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
    )
    assert done.returncode in (0, 141), "0: all was written before head ended"
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


@pytest.mark.parametrize(("option", "seen"), [("-u", "at once"), ("-B", "")])
def test_output_without_a_buffer_stays_without_one(option: str, seen: str) -> None:
    """As services and farms want it (PYTHONUNBUFFERED): the last line of a process that is killed is in its log."""
    code = (
        "import os\nfrom flows.output_pipe import quiet_at_closed_output\n"
        "with quiet_at_closed_output():\n    print('at once', end='')\n    os._exit(0)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    call = [sys.executable, option, "-c", code]
    done = subprocess.run(call, capture_output=True, text=True, cwd=REPOSITORY, check=True, env=environment)
    assert done.stdout == seen


def test_another_broken_pipe_is_an_error() -> None:
    code = (
        "from flows.output_pipe import quiet_at_closed_output\n"
        "from flows.stage import exit_with_code\n"
        "def encoder_is_gone():\n    raise BrokenPipeError(32, 'Broken pipe')\n"
        "with quiet_at_closed_output():\n    exit_with_code(encoder_is_gone)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 1
    assert "error: Broken pipe" in done.stderr
