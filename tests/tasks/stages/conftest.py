import pytest

from tests.tasks.shot_trainings import write_prepared


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A working folder with prepared data of two tiny shots, and with a cache of its own."""
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_prepared(tmp_path / "prepared")
    return tmp_path
