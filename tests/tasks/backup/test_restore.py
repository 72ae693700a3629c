"""After a restoration all answers are as before; nothing is replaced without asking, and nothing damaged is used."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sqlite3
import stat
import subprocess
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock

from stylegan_core.storage.model_folder import read_model_digest
from tasks.backup.archive import BackupError, read_manifest
from tasks.backup.create import ServerDatabase, create_backup
from tasks.backup.restore import RestoreOptions, restore_backup
from tasks.shared import registry, tracking
from tasks.shared.errors import UsageError
from tasks.shared.promoted_copy import promoted_trainings
from tasks.shared.whence import whence
from tests.film_project import Film

SAFE = RestoreOptions()
FORCE = RestoreOptions(force=True)


def answers(root: Path) -> object:
    """What the project knows: promoted models, lineage, and the files of the registry."""
    models = {name: read_model_digest(registry.fetch_model(uri, root / "fetched" / name))
              for name, uri in registry.promoted_models().items()}  # fmt: skip
    promoted = promoted_trainings(root)
    trails = [whence(root, digest).as_dict() for digest in sorted(str(d) for d in models.values())]
    shutil.rmtree(root / "fetched")
    return models, {name: each.digest for name, each in promoted.items()}, trails


def destroy(film: Film, server: ServerDatabase) -> None:
    """All that is on the machine, but the backup; the working folder of this process is the empty project."""
    assert server.path is not None
    shutil.rmtree(server.path.parent)
    for path in film.root.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    tracking._client.cache_clear()


def test_after_all_was_deleted_the_answers_are_as_before(
    worked: Film, server: ServerDatabase, backup: Path, deployments: Callable[[ServerDatabase], list[str]]
) -> None:
    shutil.rmtree(worked.root / "models")  # DVC has them, and not the backup
    before = answers(worked.root)
    destroy(worked, server)
    done = restore_backup(backup, None, server, SAFE)
    assert (done.root, done.server, done.server_kept, done.replaced) == (worked.root, True, False, None)
    assert Path.cwd() == worked.root, "the working folder of this process is the same one, filled"
    assert answers(worked.root) == before
    assert deployments(server) == ["film-nightly"]
    tracked = ["git", "status", "--short", "--untracked-files=no"]
    status = subprocess.run(tracked, cwd=worked.root, check=True, capture_output=True, text=True)
    assert status.stdout == ""
    assert stat.S_IMODE((worked.root / ".stylereel/notify.yaml").stat().st_mode) == 0o600
    assert [path.name for path in worked.root.parent.iterdir() if "restore" in path.name] == []


def test_a_project_may_move(
    worked: Film, server: ServerDatabase, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(worked.root / "models")
    models, promoted, _ = answers(worked.root)  # type: ignore[misc]
    destroy(worked, server)
    moved = tmp_path / "disk two" / "film"
    restore_backup(backup, moved, server, SAFE)
    monkeypatch.chdir(moved)
    assert answers(moved)[:2] == (models, promoted)  # type: ignore[index]
    for run in tracking.client().search_runs(tracking.experiment_ids(tracking.client())):
        assert run.info.artifact_uri.startswith(f"{(moved / 'mlartifacts').as_uri()}/")


def test_a_living_project_is_replaced_only_by_force(worked: Film, server: ServerDatabase, backup: Path) -> None:
    before = promoted_trainings(worked.root)
    worked.train(2)
    worked.evaluate(hill=0.2, sea=0.2)
    worked.promote()
    later = promoted_trainings(worked.root)
    assert later != before
    with pytest.raises(UsageError, match=r"has a state already .*--force"):
        restore_backup(backup, None, server, SAFE)
    assert promoted_trainings(worked.root) == later
    (worked.root / "params.yaml").write_text("# of today\n" + (worked.root / "params.yaml").read_text())
    done = restore_backup(backup, None, server, FORCE)
    assert promoted_trainings(worked.root) == before
    assert (worked.root / "params.yaml").read_text().startswith("# of today"), "git has the settings of a clone"
    assert done.replaced is not None
    assert {path.name for path in done.replaced.iterdir()} >= {".stylereel", "mlflow.db", "mlartifacts"}
    assert done.server_kept


def test_the_servers_database_is_replaced_on_demand(
    worked: Film, server: ServerDatabase, backup: Path, deployments: Callable[[ServerDatabase], list[str]]
) -> None:
    assert server.path is not None
    with sqlite3.connect(server.path) as database:
        database.execute("INSERT INTO deployment VALUES ('of another project')")
    database.close()
    restore_backup(backup, None, server, FORCE)
    assert len(deployments(server)) == 2
    restore_backup(backup, None, server, RestoreOptions(force=True, replace_server=True))
    assert deployments(server) == ["film-nightly"]
    (former,) = server.path.parent.glob("prefect.db.before-restore-*[0-9]")
    assert deployments(ServerDatabase(f"sqlite:///{former}")) == ["film-nightly", "of another project"]


def test_the_database_of_a_server_that_runs_is_not_replaced(
    worked: Film, server: ServerDatabase, backup: Path, deployments: Callable[[ServerDatabase], list[str]]
) -> None:
    """Also of one that `stylereel up` has not started, and of which no record tells."""
    assert server.path is not None
    replace = RestoreOptions(force=True, replace_server=True)
    with closing(sqlite3.connect(server.path)) as living:
        living.execute("SELECT * FROM deployment").fetchall()
        with pytest.raises(UsageError, match=r"a Prefect server has .*prefect\.db open"):
            restore_backup(backup, None, server, replace)
        assert deployments(server) == ["film-nightly"]
        assert not list(server.path.parent.glob("*before*"))
    assert restore_backup(backup, None, server, replace).server


@pytest.mark.parametrize("name", ["pipeline.lock", "runs/flow-2.lock"])
def test_a_run_that_works_is_not_disturbed(worked: Film, server: ServerDatabase, backup: Path, name: str) -> None:
    path = worked.root / ".stylereel" / name
    path.parent.mkdir(exist_ok=True)
    with FileLock(path), pytest.raises(UsageError, match="a run works"):
        restore_backup(backup, None, server, FORCE)
    restore_backup(backup, None, server, FORCE)


def test_another_project_is_refused(worked: Film, server: ServerDatabase, backup: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("dear reader")
    with pytest.raises(UsageError, match="is not a clone of the project film"):
        restore_backup(backup, other, server, FORCE)
    (other / "project.yaml").write_text("name: film\nid: ba9876543210\n")
    with pytest.raises(UsageError, match="is not a clone of the project film"):
        restore_backup(backup, other, server, FORCE)
    assert {path.name for path in other.iterdir()} == {"letter.txt", "project.yaml"}


def changed(backup: Path, name: str, content: bytes | None) -> Path:
    """A copy of a backup in which a member has other content of the same length, or is missing."""
    other = backup.with_name("changed.tar")
    with tarfile.open(backup) as source, tarfile.open(other, "w") as target:
        for member in source:
            data = source.extractfile(member)
            assert data is not None
            if member.name != name:
                target.addfile(member, data)
            elif content is not None:
                padded = content.ljust(member.size, b"\0")[: member.size]
                target.addfile(member, io.BytesIO(padded))
    return other


@pytest.mark.parametrize("content", [b"another model", None])
def test_a_damaged_backup_changes_nothing(
    worked: Film, server: ServerDatabase, backup: Path, content: bytes | None
) -> None:
    before = promoted_trainings(worked.root)
    other = changed(backup, "project/.stylereel/promoted/sea.json", content)
    with pytest.raises(BackupError, match="is damaged"):
        restore_backup(other, None, server, FORCE)
    assert promoted_trainings(worked.root) == before
    assert not [path for path in worked.root.parent.iterdir() if "restore" in path.name]


def test_a_folder_with_the_traceback_of_a_failed_command_is_empty(
    worked: Film, server: ServerDatabase, backup: Path, tmp_path: Path
) -> None:
    place = tmp_path / "new" / "film"
    (place / ".stylereel").mkdir(parents=True)
    (place / ".stylereel/last-error.txt").write_text("Traceback")
    restore_backup(backup, place, server, SAFE)
    assert (place / ".stylereel/promotions.jsonl").is_file()
    assert not (place / ".stylereel/last-error.txt").exists()


def test_an_empty_folder_may_be_a_link_to_another_disk(
    worked: Film, server: ServerDatabase, backup: Path, tmp_path: Path
) -> None:
    (tmp_path / "disk two").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk two")
    restore_backup(backup, tmp_path / "link", server, SAFE)
    assert (tmp_path / "disk two/.stylereel/promotions.jsonl").is_file()
    assert not [path.name for path in (tmp_path / "disk two").iterdir() if "restore" in path.name]


def test_half_a_backup_is_refused(worked: Film, server: ServerDatabase, backup: Path) -> None:
    content = backup.read_bytes()
    backup.write_bytes(content[: len(content) // 2])
    with pytest.raises(BackupError, match="no complete backup"):
        restore_backup(backup, None, server, FORCE)


def test_a_name_that_leads_out_is_refused(worked: Film, server: ServerDatabase, backup: Path) -> None:
    with tarfile.open(backup, "a") as tar:
        info = tarfile.TarInfo("../escaped")
        tar.addfile(info)
    with pytest.raises(BackupError, match=r"has the member \.\./escaped"):
        restore_backup(backup, None, server, FORCE)
    assert not (worked.root.parent.parent / "escaped").exists()


def forged(backup: Path, name: str, content: bytes) -> Path:
    """A backup with one more file, or another one, which its manifest knows: anybody can compute digests."""
    files, other = {}, backup.with_name("forged.tar")
    with tarfile.open(backup) as source:
        for member in source:
            data = source.extractfile(member)
            assert data is not None
            files[member.name] = data.read()
    manifest = json.loads(files.pop("manifest.json"))
    files[name] = content
    digests = {key: hashlib.sha256(value).hexdigest() for key, value in files.items()}
    manifest["files"] = [{"path": k, "size": len(v), "sha256": digests[k]} for k, v in files.items()]
    with tarfile.open(other, "w") as target:
        for key, value in {**files, "manifest.json": json.dumps(manifest).encode()}.items():
            info = tarfile.TarInfo(key)
            info.size = len(value)
            target.addfile(info, io.BytesIO(value))
    return other


def test_the_settings_of_a_backup_cannot_choose_where_its_files_go(
    worked: Film, server: ServerDatabase, backup: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    crafted = forged(backup, "project/.dvc/config.local", f"[cache]\n    dir = {home}\n".encode())
    crafted = forged(crafted, "dvc-cache/.ssh/authorized_keys", b"a key")
    crafted = forged(crafted, "dvc-cache/files/md5/ab/cdef", b"a picture")
    restore_backup(crafted, tmp_path / "new", server, SAFE)
    assert (home / "files/md5/ab/cdef").is_file()
    assert not (home / ".ssh").exists()


def test_a_link_in_gits_history_is_not_followed(
    worked: Film, server: ServerDatabase, backup: Path, tmp_path: Path
) -> None:
    home, crafted = tmp_path / "home", tmp_path / "crafted"
    home.mkdir()
    crafted.mkdir()
    subprocess.run(["git", "init", "-q", "-b", read_manifest(backup).branch], cwd=crafted, check=True)
    (crafted / ".dvc").symlink_to(home)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", "add", ".dvc"], cwd=crafted, check=True)
    subprocess.run(["git", *identity, "commit", "-qm", "a link"], cwd=crafted, check=True)
    subprocess.run(["git", "bundle", "create", "-q", str(tmp_path / "bundle"), "--all"], cwd=crafted, check=True)
    other = forged(backup, "project.bundle", (tmp_path / "bundle").read_bytes())
    other = forged(other, "project/.dvc/config", b"[core]\n")
    with pytest.raises(BackupError, match=r"a link in place of the folder \.dvc/"):
        restore_backup(other, tmp_path / "new", server, SAFE)
    assert list(home.iterdir()) == []
    assert not (tmp_path / "new").exists()


def with_member(backup: Path, kind: bytes, name: str, **pax: str) -> None:
    with tarfile.open(backup, "a", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.pax_headers = kind, name, pax
        tar.addfile(info)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
@pytest.mark.parametrize("name", ["project/params.yaml", "manifest.json"])
def test_links_and_devices_are_refused(
    worked: Film, server: ServerDatabase, backup: Path, kind: bytes, name: str
) -> None:
    with_member(backup, kind, name)
    with pytest.raises(BackupError, match=f"has the member {name}"):
        restore_backup(backup, None, server, FORCE)


@pytest.mark.parametrize("name", ["manifest.json", "project/project.yaml"])
def test_a_small_file_that_becomes_a_large_one_is_refused(
    worked: Film, server: ServerDatabase, backup: Path, name: str
) -> None:
    """A sparse member: a terabyte of zeros in 512 bytes."""
    sparse = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.map": f"{1 << 40},0"}
    with_member(backup, tarfile.REGTYPE, name, **sparse, **{"GNU.sparse.size": str(1 << 40)})
    with pytest.raises(BackupError, match=f"has the member {name}"):
        restore_backup(backup, None, server, FORCE)


def test_a_file_that_is_there_twice_is_refused(worked: Film, server: ServerDatabase, backup: Path) -> None:
    with tarfile.open(backup, "a") as tar:
        tar.addfile(tar.getmember("project/project.yaml"), io.BytesIO(b"x" * 500))
    with pytest.raises(BackupError, match=r"is damaged: project/project\.yaml"):
        restore_backup(backup, None, server, FORCE)


def test_names_that_are_options_of_git_are_refused(backup: Path) -> None:
    content = read_manifest(backup).model_copy(update={"origin": "--upload-pack=evil"}).model_dump_json().encode()
    with tarfile.open(backup, "a") as tar:
        info = tarfile.TarInfo("manifest.json")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    with pytest.raises(BackupError, match="no complete backup"):
        read_manifest(backup)


def test_data_of_dvc_returns_to_its_cache(worked: Film, server: ServerDatabase, tmp_path: Path) -> None:
    blob = worked.root / ".dvc/cache/files/md5/ab/cdef"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"a picture")
    path, _ = create_backup(worked.root, tmp_path / "with.tar", server, with_data=True)
    destroy(worked, server)
    restore_backup(path, None, server, SAFE)
    assert blob.read_bytes() == b"a picture"
