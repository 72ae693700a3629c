import pytest


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty project as the working folder, with a cache of its own."""
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    return project
