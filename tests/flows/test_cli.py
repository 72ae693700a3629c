"""The command line: help with examples, clear refusals, exit codes, and quick answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app

COMMANDS = [command.name for command in app.registered_commands]


@pytest.fixture(autouse=True)
def _outside_of_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom flows.cli import app\nfrom typer.testing import CliRunner\n"
        "result = CliRunner().invoke(app, ['--help'])\nassert result.exit_code == 0, result.output\n"
        "heavy = {'torch', 'prefect', 'mlflow', 'dvc', 'cv2', 'pandas', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_examples(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"stylereel {command}" in result.output


@pytest.mark.parametrize("command", ["prepare", "train", "evaluate", "pipeline", "sync", "where"])
def test_outside_of_a_project_nothing_is_done(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    result = CliRunner().invoke(app, [command])
    assert result.exit_code == 2
    assert "stylereel init" in capfd.readouterr().err + result.output


def test_an_unknown_recipe_names_the_known(capfd: pytest.CaptureFixture[str]) -> None:
    result = CliRunner().invoke(app, ["recipes", "pix3pix"])
    assert result.exit_code == 2
    assert "keyframe" in capfd.readouterr().err + result.output


def test_recipes_lists_needs_and_papers() -> None:
    result = CliRunner().invoke(app, ["recipes"])
    assert "keyframe     before/after pairs" in result.output
    assert "arXiv 2007.15651" in result.output


def test_a_recipe_shows_its_settings() -> None:
    result = CliRunner().invoke(app, ["recipes", "keyframe"])
    assert "budget_steps:" in result.output


def test_whence_of_the_unknown_says_what_to_give(capfd: pytest.CaptureFixture[str]) -> None:
    result = CliRunner().invoke(app, ["whence", "?"])
    assert result.exit_code == 2
    assert "a stylized frame" in capfd.readouterr().err + result.output
