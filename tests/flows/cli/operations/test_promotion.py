"""``stylereel promote`` and ``rollback``: what they print, and what they refuse."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from flows.cli.main import app
from tasks.shared.gate import GateError
from tests.film_project import Film


def _run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def test_a_refused_model_is_promoted_and_rolled_back(film: Film) -> None:
    first = film.train(1)
    film.evaluate(hill=0.5, sea=0.5)
    film.promote()
    second = film.train(2)
    film.evaluate(hill=0.5, sea=0.9)
    with pytest.raises(GateError):
        film.promote()
    code, output = _run("promote", "sea")
    assert code == 0
    assert "| sea | truth/swd | 6 | 0.9 | 0.5 | +80.0 % (+80.0 to +80.0) | worse |" in output
    assert f"sea: promoted {second['sea'][:16]}, in place of {first['sea'][:16]}" in output
    assert _run("promote", "sea")[1].endswith("is the promoted model already\n")
    code, output = _run("rollback", "sea")
    assert code == 0
    assert f"promoted is version 1 ({first['sea'][:16]})" in output
    assert film.promoted()["sea"] == first["sea"]


def test_refusals_say_what_to_do(film: Film, capfd: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        (["promote"], "name a training; those of params.yaml are: hill, sea"),
        (["rollback", "hall"], "there is no training hall"),
        (["rollback", "sea"], "has no earlier promoted model"),
        (["promote", "sea"], "holds no model: name a registered one with --version"),
        (["promote", "sea", "--version", "4"], "has no version 4; its last versions are: none"),
    ):
        code, output = _run(*arguments)
        assert code == 2, arguments
        assert words in output + capfd.readouterr().err


def test_a_registry_that_is_away_is_one_line(
    film: Film, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    film.train(1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    code, output = _run("promote", "sea")
    assert code == 1
    message = output + capfd.readouterr().err
    assert "error: cannot list the versions of sea in the model registry at http:" in message
    assert "Traceback" not in message
