"""A run works where its worker was started."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.services.checkout_step import CHECKOUT_VARIABLE, enter_checkout


def test_a_run_works_in_the_checkout_of_its_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "theirs"):
        (tmp_path / name).mkdir()
    monkeypatch.delenv(CHECKOUT_VARIABLE, raising=False)
    assert enter_checkout(str(tmp_path / "theirs")) == {"directory": str(tmp_path / "theirs")}
    assert Path.cwd() == tmp_path / "theirs"
    monkeypatch.setenv(CHECKOUT_VARIABLE, str(tmp_path / "mine"))
    enter_checkout("/of/another/machine")
    assert Path.cwd() == tmp_path / "mine"
    monkeypatch.delenv(CHECKOUT_VARIABLE)
    with pytest.raises(FileNotFoundError, match="stylereel worker"):
        enter_checkout("/of/another/machine")
