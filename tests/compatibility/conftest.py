"""Fixtures of the compatibility tests: files of version 0.1.0 in a folder of the test, and the command line."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compatibility.made_by_0_1_0 import Call


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "dvc"))
    for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI", "STYLEREEL_FLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@localhost")


@pytest.fixture
def stylereel(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Runs ``python -m flows`` in this process: its exit code, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["stylereel", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_module("flows", run_name="__main__")
        printed = capfd.readouterr()
        print(printed.out, printed.err)
        return int(ended.value.code or 0), printed.out, printed.err

    return call


@pytest.fixture
def film(tmp_path: Path, unpack_0_1_0: Callable[[str, Path], None], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of plates, models and outputs, in another place and with new file times, as the working folder."""
    folder = tmp_path / "film"
    unpack_0_1_0("film", folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def project(tmp_path: Path, unpack_0_1_0: Callable[[str, Path], None], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project, under git and DVC, as the working folder."""
    folder = tmp_path / "harbour"
    unpack_0_1_0("project", folder)
    unpack_0_1_0("project_cache", tmp_path / "cache")
    monkeypatch.chdir(folder)
    for command in (["init", "-q"], ["add", "--all"], ["commit", "-qm", "As 0.1.0 left it"]):
        subprocess.run(["git", *command], check=True)
    return folder
