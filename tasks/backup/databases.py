"""SQLite databases in a backup: a consistent copy of one that is in use, and paths of a moved project."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from tasks.backup.archive import BackupError

_WAIT_S = 60.0
_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)
"""Columns of MLflow's store that hold absolute addresses of files."""


def copy_database(source: Path, target: Path) -> None:
    """Copies a database as it is at one moment, by SQLite's online backup; programs that use it go on.

    Args:
        source: may be in use by other processes.
        target: does not exist.

    Raises:
        BackupError: it is no database, it is damaged, or it was locked for a minute.
    """
    try:
        # Not mode=ro: a database with a write-ahead log needs its index file, even to be read.
        with (
            closing(sqlite3.connect(f"file:{quote(str(source))}?mode=rw", uri=True, timeout=_WAIT_S)) as live,
            closing(sqlite3.connect(target)) as copy,
        ):
            live.backup(copy)  # in one step: a copy in several begins anew when another process writes
            fault = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
            copy.execute("PRAGMA journal_mode = DELETE")  # one file; a server sets its own mode again
    except sqlite3.Error as error:
        raise BackupError(f"the database {source} cannot be copied: {error}") from error
    shutil.copymode(source, target)
    if fault != "ok":
        raise BackupError(f"the database {source} is damaged ({fault}): restore the last backup of it")


def is_open(database: Path) -> bool:
    """Whether another process has a database with a write-ahead log open, as the Prefect server always has.

    A database that is moved while it is open loses what is written afterwards. SQLite ends the log only for the last
    connection; a server sets the log again.
    """
    if not database.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=rw", uri=True, timeout=1.0)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        return "locked" in str(error)  # what is damaged may be replaced
    return False


def move_addresses(database: Path, old: Path, new: Path) -> None:
    """Lets MLflow's store name the files of a project at its new place.

    Args:
        database: mlflow.db, which nobody uses.
        old: the project's former folder.
        new: its present one.

    Raises:
        BackupError: the database cannot be changed.
    """
    try:
        with closing(sqlite3.connect(database)) as connection, connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            for table, column in _PLACES:
                if table in tables:
                    for before, after in ((old.as_uri(), new.as_uri()), (str(old), str(new))):
                        connection.execute(
                            f"UPDATE {table} SET {column} = ? || substr({column}, ?)"
                            f" WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                            (after, len(before) + 1, before, len(before) + 1, f"{before}/"),
                        )
    except sqlite3.Error as error:
        raise BackupError(f"{database} cannot be changed: {error}") from error
