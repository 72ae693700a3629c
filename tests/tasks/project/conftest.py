"""A project made by ``init``, for the tests of its upkeep."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.project.init_project import init_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "empty-home"))
    return init_project(tmp_path / "harbour")
