"""The commands for other programs: what is refused before anything is loaded."""

from pathlib import Path

from typer.testing import CliRunner

from flows.cli.main import app


def test_minutes_of_distill_are_refused_and_steps_are_named(tmp_path: Path) -> None:
    command = ["distill", "models/all", str(tmp_path), str(tmp_path / "small"), "--minutes", "5"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    assert "--minutes was replaced: pass --steps" in result.stderr
    assert not (tmp_path / "small").exists()
