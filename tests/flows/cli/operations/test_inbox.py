"""The command ``inbox`` as cron and a service manager start it: exit codes, one line, a stop by signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from flows.cli.main import app

REPOSITORY = Path(__file__).parents[4]


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty inbox, with a project as the working folder."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    (tmp_path / "film").mkdir()
    (tmp_path / "film/params.yaml").write_text("{}\n")
    monkeypatch.chdir(tmp_path / "film")
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


def test_one_look_at_a_shot_that_may_be_growing(inbox: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (inbox / "oil/sh010").mkdir(parents=True)
    (inbox / "oil/sh010/a.0001.png").write_bytes(b"")
    result = CliRunner().invoke(app, ["inbox", str(inbox), "--once"])
    assert result.exit_code == 0
    assert f"0 shots finished, 1 waiting: {inbox.parent / 'done'}" in result.output + capfd.readouterr().out
    assert not (inbox.parent / "done").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["../nowhere"], "there is no folder ../nowhere"),
        (["../inbox", "--output", "../inbox/done"], "must not contain each other"),
        (["../inbox", "--settle-s", "1"], "--settle-s"),
    ],
)
def test_wrong_calls(inbox: Path, arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    result = CliRunner().invoke(app, ["inbox", *arguments, "--once"])
    assert result.exit_code == 2
    assert message in " ".join((capfd.readouterr().err + result.output).split())
    assert list(inbox.iterdir()) == []


def test_outside_of_a_project(inbox: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(inbox)
    result = CliRunner().invoke(app, ["inbox", str(inbox), "--once"])
    assert result.exit_code == 2
    assert "stylereel init" in capfd.readouterr().err + result.output


def test_a_look_beside_another_one_is_skipped(inbox: Path) -> None:
    (inbox / ".stylereel").mkdir()
    with FileLock(inbox / ".stylereel/lock"):
        result = CliRunner().invoke(app, ["inbox", str(inbox), "--once"])
    assert result.exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_watcher_with_code_3(inbox: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "flows", "inbox", str(inbox), "--every-s", "0.1"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "watching" in process.stderr.readline()
        time.sleep(0.3)
        process.send_signal(number)
        err = process.communicate(timeout=60)[1]
    assert process.returncode == 3
    assert err.strip() == "stopped: run the same command again to finish"
