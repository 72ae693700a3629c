"""What a backup has, and that it is consistent while programs write."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest

from tasks.backup.archive import extract, read_manifest
from tasks.backup.create import ServerDatabase, create_backup
from tasks.shared.errors import UsageError
from tests.film_project import Film


def names(path: Path) -> set[str]:
    with tarfile.open(path) as tar:
        return set(tar.getnames())


def test_it_has_what_cannot_be_made_again(backup: Path, worked: Film) -> None:
    found = names(backup)
    assert {"manifest.json", "project.bundle", "server/prefect.db", "project/mlflow.db"} <= found
    assert {"project/project.yaml", "project/.stylereel/promotions.jsonl"} <= found
    assert {"project/.stylereel/lineage/flow-1.json", "project/.stylereel/promoted/sea.json"} <= found
    model = "/".join(next((worked.root / ".stylereel/promoted/sea").glob("*/best.safetensors")).parts[-5:])
    assert f"project/{model}" in found
    assert any(name.startswith("project/mlartifacts/") for name in found)
    assert not [name for name in found if "models/" in name and ".stylereel" not in name and "mlartifacts" not in name]
    assert not [name for name in found if name.endswith(("pipeline.lock", "last-error.txt"))]
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_the_manifest_has_a_digest_of_each_file(backup: Path, worked: Film, tmp_path: Path) -> None:
    manifest = extract(backup, tmp_path / "out")
    assert {file.path for file in manifest.files} | {"manifest.json"} == names(backup)
    assert (manifest.project, manifest.id, manifest.root) == ("film", "0123456789ab", str(worked.root))
    assert "checkpoints in the user's cache" in " ".join(manifest.left_out)


def test_in_a_folder_it_has_the_time_in_its_name(worked: Film, server: ServerDatabase, tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    path, manifest = create_backup(worked.root, tmp_path / "backups", server)
    assert path.name == f"film-{manifest.time[:-1].replace('-', '').replace(':', '').replace('T', '-')}.tar"
    with pytest.raises(UsageError, match="exists"):
        create_backup(worked.root, path, server)


def test_a_failure_leaves_no_file(worked: Film, server: ServerDatabase, tmp_path: Path) -> None:
    place = tmp_path / "backups"
    place.mkdir()
    (worked.root / "mlflow.db").write_bytes(b"no database" * 1000)
    with pytest.raises(Exception, match=r"mlflow\.db cannot be copied"):
        create_backup(worked.root, place, server)
    assert list(place.iterdir()) == []


def test_a_database_in_use_is_copied_as_of_one_moment(worked: Film, server: ServerDatabase, tmp_path: Path) -> None:
    """A writer moves a unit between two rows in each transaction: a copy in the middle of one would lose it."""
    assert server.path is not None
    writer = sqlite3.connect(server.path, check_same_thread=False, isolation_level=None)
    writer.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, units INTEGER, filling TEXT)")
    writer.execute("INSERT INTO account VALUES (1, 1000, ''), (2, 0, '')")
    for number in range(3, 400):  # pages between the two
        writer.execute("INSERT INTO account VALUES (?, 0, ?)", (number, "x" * 4000))
    stop, moved = threading.Event(), []

    def move() -> None:
        while not stop.is_set():
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("UPDATE account SET units = units - 1 WHERE id = 1")
            writer.execute("UPDATE account SET units = units + 1 WHERE id = 399")
            writer.execute("COMMIT")
            moved.append(1)

    thread = threading.Thread(target=move)
    thread.start()
    try:
        path, _ = create_backup(worked.root, tmp_path / "film.tar", server)
    finally:
        stop.set()
        thread.join()
        writer.close()
    assert moved
    extract(path, tmp_path / "out")
    with sqlite3.connect(tmp_path / "out/server/prefect.db") as copy:
        assert copy.execute("SELECT SUM(units) FROM account").fetchone() == (1000,)
    assert not (tmp_path / "out/server/prefect.db-wal").exists()


def test_runs_that_work_are_found_dead_by_the_next_worker(worked: Film, server: ServerDatabase, tmp_path: Path) -> None:
    (worked.root / ".stylereel/runs").mkdir()
    (worked.root / ".stylereel/runs/flow-2.lock").touch()
    path, _ = create_backup(worked.root, tmp_path / "film.tar", server)
    assert "project/.stylereel/runs/flow-2.lock" in names(path)


def test_what_is_not_sqlite_is_named_with_its_command(
    worked: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:hidden@mlflow.example:5000")
    server = ServerDatabase("postgresql+asyncpg://prefect:hidden@db:5432/prefect")
    path, manifest = create_backup(worked.root, tmp_path / "film.tar", server)
    said = "\n".join(manifest.left_out)
    assert "`pg_dump --format=custom --file prefect.dump postgresql://prefect@db:5432/prefect`" in said
    assert "MLflow's store: back up http" in said
    assert "hidden" not in said
    assert not {"server/prefect.db", "project/mlflow.db"} & names(path)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+asyncpg://prefect:hid/den@db:5432/prefect",
        "postgresql+asyncpg://prefect@db:5432/prefect?password=hid/den",
        "postgresql://prefect:hid%40den@db:5432/prefect?sslmode=require",
    ],
)
def test_no_password_is_named(worked: Film, tmp_path: Path, url: str) -> None:
    said = "\n".join(create_backup(worked.root, tmp_path / "film.tar", ServerDatabase(url))[1].left_out)
    assert "--file prefect.dump postgresql://prefect@db:5432/prefect`" in said
    assert "hid" not in said


def test_a_folder_that_is_missing_does_not_become_a_file(worked: Film, server: ServerDatabase, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        create_backup(worked.root, tmp_path / "not mounted", server)
    assert not (tmp_path / "not mounted").exists()


def test_a_shallow_clone_is_refused(worked: Film, server: ServerDatabase, tmp_path: Path) -> None:
    """Its bundle could not be fetched from."""
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", *identity, "commit", "-q", "--allow-empty", "-m", "two"], cwd=worked.root, check=True)
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth", "1", worked.root.as_uri(), str(shallow)], check=True)
    with pytest.raises(UsageError, match="git fetch --unshallow"):
        create_backup(shallow, tmp_path / "film.tar", server)


def test_what_git_does_not_have_is_named(worked: Film, server: ServerDatabase, tmp_path: Path) -> None:
    (worked.root / ".gitignore").write_text("/*\n!/params.yaml\n!/recipe.py\n")
    (worked.root / "recipe.py").write_text("# mine")
    said = create_backup(worked.root, tmp_path / "film.tar", server)[1].left_out
    assert "changes that are not committed: recipe.py" in said
    part = tmp_path / "repository/film"
    part.mkdir(parents=True)
    subprocess.run(["git", "init", "-q"], cwd=part.parent, check=True)
    (part / "project.yaml").write_text("name: film\nid: 0123456789ab\n")
    said = create_backup(part, tmp_path / "part.tar", server)[1].left_out
    assert said[0].startswith("git's history: ")


def test_databases_keep_their_modes(worked: Film, server: ServerDatabase, tmp_path: Path) -> None:
    assert server.path is not None
    for database in (server.path, worked.root / "mlflow.db"):
        database.chmod(0o600)
    extract(create_backup(worked.root, tmp_path / "film.tar", server)[0], tmp_path / "out")
    for name in ("server/prefect.db", "project/mlflow.db"):
        assert stat.S_IMODE((tmp_path / "out" / name).stat().st_mode) == 0o600


def test_data_of_dvc_is_copied_on_demand(worked: Film, server: ServerDatabase, tmp_path: Path) -> None:
    blob = worked.root / ".dvc/cache/files/md5/ab/cdef"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"a picture")
    (worked.root / ".dvc/config").write_text("[core]\n    remote = store\n['remote \"store\"']\n    url = ../store\n")
    without, manifest = create_backup(worked.root, tmp_path / "without.tar", server)
    assert f"DVC's data in {worked.root}/.dvc/cache: `dvc push` keeps it in ../store" in "\n".join(manifest.left_out)
    path, manifest = create_backup(worked.root, tmp_path / "with.tar", server, with_data=True)
    assert "DVC's data" not in "\n".join(manifest.left_out)
    assert names(path) - names(without) == {"dvc-cache/files/md5/ab/cdef"}


def test_the_bundle_has_all_branches(worked: Film, server: ServerDatabase, tmp_path: Path) -> None:
    subprocess.run(["git", "branch", "runs/nightly"], cwd=worked.root, check=True)
    path, _ = create_backup(worked.root, tmp_path / "film.tar", server)
    extract(path, tmp_path / "out")
    heads = ["git", "bundle", "list-heads", str(tmp_path / "out/project.bundle")]
    listed = subprocess.run(heads, check=True, capture_output=True, text=True).stdout
    assert "refs/heads/runs/nightly" in listed
    assert read_manifest(path).branch in listed
