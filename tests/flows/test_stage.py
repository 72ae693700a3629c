"""Exit codes and messages: one line for a person, whatever went wrong."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.stage import LAST_EXIT, exit_code, exit_with_code, stage_error, stage_main
from stylegan_core.settings import SettingsError
from tasks.shared.errors import InputsFailedError, StoppedError, UsageError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("train.recipe is 'x'"), 2),
        (UsageError("name a folder"), 2),
        (FileNotFoundError(errno.ENOENT, "No such file", "plates"), 2),
        (InputsFailedError("3 of 48 failed"), 1),
        (ValueError("inside"), 1),
        (StoppedError("the disk is full"), 3),
        (OSError(errno.ENOSPC, "No space left on device"), 3),
        (OSError(errno.ESTALE, "Stale file handle"), 3),
        (KeyboardInterrupt(), 3),
        (SystemExit(7), None),
    ],
)
def test_codes(error: BaseException, code: int | None) -> None:
    assert exit_code(error) == code


def _fail(error: BaseException) -> Callable[[], None]:
    def body() -> None:
        raise error

    return body


def test_a_foreseen_error_is_one_line_and_its_traceback_is_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        exit_with_code(_fail(UsageError("name a folder for the project")))
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: name a folder for the project\n"
    assert "UsageError" in (tmp_path / ".stylereel" / "last-error.txt").read_text()


def test_an_error_that_nobody_foresaw_shows_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        exit_with_code(_fail(ZeroDivisionError("division by zero")))
    assert ended.value.code == 1
    assert "Traceback" in capsys.readouterr().err


def test_success_goes_on() -> None:
    exit_with_code(lambda: None)


@pytest.mark.parametrize(
    ("error", "code"), [(SettingsError("train.x is unknown"), 2), (StoppedError("SIGTERM"), 3), (ValueError("no"), 1)]
)
def test_a_stage_leaves_how_it_ended(
    error: Exception, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("flows.stage._refuse_stale_code", lambda name: None)
    monkeypatch.setattr("flows.stage.run_stage", lambda name, body: body(None))
    with pytest.raises(SystemExit) as ended:
        stage_main("train", lambda runner: _fail(error)())
    assert ended.value.code == code
    left = stage_error(tmp_path)
    assert left is not None
    assert exit_code(left) == code
    assert str(left) == f"train: {error}"
    stage_main("train", lambda runner: None)
    assert not LAST_EXIT.exists()
    assert stage_error(tmp_path) is None
