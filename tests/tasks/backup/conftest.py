"""Fixtures: a film with a promoted model, a Prefect database, and a backup of both."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tasks.backup.create import ServerDatabase, create_backup
from tasks.shared.lineage import link_run
from tests.film_project import Film


@pytest.fixture
def server(tmp_path: Path) -> ServerDatabase:
    """An SQLite file with a write-ahead log, as Prefect has, and one deployment."""
    path = tmp_path / "prefect home" / "prefect.db"
    path.parent.mkdir()
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE deployment (name TEXT)")
    database.execute("INSERT INTO deployment VALUES ('film-nightly')")
    database.commit()
    database.close()
    return ServerDatabase(f"sqlite+aiosqlite:///{path}")


@pytest.fixture
def worked(film: Film) -> Film:
    """A film with a promoted model and the link of a run; runs/nightly is a branch of its repository."""
    film.train(1)
    film.evaluate(hill=0.5, sea=0.5)
    film.promote()
    link_run(film.root, "flow-1", {"git_commit": "c0ffee"})
    (film.root / ".stylereel/notify.yaml").write_text("webhooks: [https://example.com/secret]\n")
    (film.root / ".stylereel/notify.yaml").chmod(0o600)
    return film


@pytest.fixture
def backup(worked: Film, server: ServerDatabase, tmp_path: Path) -> Path:
    return create_backup(worked.root, tmp_path / "film.tar", server)[0]


@pytest.fixture
def deployments() -> Callable[[ServerDatabase], list[str]]:
    def read(server: ServerDatabase) -> list[str]:
        assert server.path is not None
        with closing(sqlite3.connect(server.path)) as database:
            return [name for (name,) in database.execute("SELECT name FROM deployment")]

    return read
