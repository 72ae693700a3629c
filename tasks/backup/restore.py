"""Restores a backup: all its files are verified before anything of the project is touched.

What is replaced is not deleted, but moved to a folder beside the project.
"""

from __future__ import annotations

import itertools
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from stylegan_core.storage.atomic import fsync_folder, write_atomically
from stylegan_core.storage.state_folder import STATE_FOLDER
from tasks.backup.archive import BackupError, Manifest, extract, read_manifest
from tasks.backup.create import ARTIFACTS, BUNDLE, DVC_CACHE, SERVER_DATABASE, SETTINGS, STORE, ServerDatabase
from tasks.backup.databases import is_open, move_addresses
from tasks.shared.errors import UsageError
from tasks.shared.project_identity import PROJECT_FILE, read_identity
from tasks.shared.versioning import dvc_cache, git

_STATE = (STATE_FOLDER, STORE, ARTIFACTS)
"""Replaced as a whole."""
_LIVING = (f"{STATE_FOLDER}/promoted", f"{STATE_FOLDER}/lineage", f"{STATE_FOLDER}/promotions.jsonl", STORE)
"""What a project has that has worked."""
_CACHE_FILE = re.compile(r"(files/md5/|runs/)?[0-9a-f]{2}/[0-9a-f]+(/[0-9a-f]+)?(\.dir)?")
"""DVC's cache, and its cache of runs: names of content. The folder is one that the backup itself names."""
_BESIDE_SQLITE = ("", "-wal", "-shm", "-journal")


@dataclass(frozen=True)
class RestoreOptions:
    """What a restoration may replace.

    Attributes:
        force: the state of a project that has worked.
        replace_server: the database of the Prefect server, with the runs of all projects.
    """

    force: bool = False
    replace_server: bool = False


@dataclass(frozen=True)
class Restored:
    """What was done.

    Attributes:
        root: the project.
        manifest: of the backup.
        server: the database of the Prefect server was restored.
        server_kept: there was one already, and it was left as it is.
        replaced: folder with what was there before; None if nothing was.
    """

    root: Path
    manifest: Manifest
    server: bool
    server_kept: bool
    replaced: Path | None


def restore_backup(path: Path, root: Path | None, server: ServerDatabase, options: RestoreOptions) -> Restored:
    """Restores a project, and the database of the Prefect server if there is none.

    Args:
        path: of the backup.
        root: the project: missing or empty, then it gets the files of git too, or a clone of it. None: where it was.
        server: the database of the Prefect server, which must not run if it is replaced.
        options: what may be replaced.

    Raises:
        UsageError: ``root`` is another project, or one that has worked (without ``force``); a run works in it; or the
            server runs whose database is to be replaced.
        BackupError: the backup is damaged; nothing was changed.
        VersioningError: git failed; nothing was changed.
        OSError: the backup cannot be read, or something cannot be written.
    """
    manifest = read_manifest(path)
    root = (root or Path(manifest.root)).absolute()
    is_new = _is_new(root)
    if not is_new:
        _refuse(root, manifest, options)
    if options.replace_server and server.path is not None and is_open(server.path):
        raise UsageError(f"a Prefect server has {server.path} open: stop it, then restore")
    root.parent.mkdir(parents=True, exist_ok=True)
    # An empty folder may be a mount or a link: what is renamed into it must be on its disk.
    beside = root if is_new and root.exists() else root.parent
    with _nothing_works(root), tempfile.TemporaryDirectory(dir=beside, prefix=f".{root.name}-restore-") as place:
        staged = Path(place)
        extract(path, staged)
        (staged / "project").mkdir(exist_ok=True)
        if (store := staged / "project" / STORE).is_file():
            move_addresses(store, Path(manifest.root), root)
        replaced = _unused(root.with_name(f"{root.name}-before-restore-{_now()}"))
        if is_new:
            _new_project(staged, root, manifest)
        else:
            _into_project(staged, root, replaced)
        _restore_cache(staged / DVC_CACHE, root)
        found, kept = _restore_server(staged / SERVER_DATABASE, server, replace=options.replace_server)
        return Restored(root, manifest, found, kept, replaced if replaced.exists() else None)


def _now() -> str:
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime())


def _unused(path: Path) -> Path:
    """``path``, or with a number if it exists: two restorations may end in one second."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in itertools.count(2))
    return next(each for each in itertools.chain([path], numbered) if not each.exists())


def _is_new(root: Path) -> bool:
    """Whether there is nothing to lose; a failed command leaves its traceback in the working folder."""
    return not root.exists() or all(path.is_dir() or path.name == "last-error.txt" for path in root.rglob("*"))


def _refuse(root: Path, manifest: Manifest, options: RestoreOptions) -> None:
    if not (root / PROJECT_FILE).is_file() or read_identity(root).id != manifest.id:
        raise UsageError(
            f"{root} is not a clone of the project {manifest.project} (id {manifest.id}): name a new folder, or a clone"
        )
    if not options.force and (found := [name for name in _LIVING if (root / name).exists()]):
        raise UsageError(
            f"{root} has a state already ({', '.join(found)}): `--force` moves it to a folder beside the project and "
            "restores that of the backup"
        )


@contextmanager
def _nothing_works(root: Path) -> Iterator[None]:
    """Holds the locks of the project's pipelines and runs.

    Raises:
        UsageError: another process holds one.
    """
    state = root / STATE_FOLDER
    with ExitStack() as held:
        for path in (state / "pipeline.lock", *(state / "runs").glob("*.lock")):
            if path.is_file():
                try:
                    held.enter_context(FileLock(path, timeout=0).acquire(timeout=0))
                except Timeout:
                    raise UsageError(f"a run works in {root}: wait for its end, or stop it, then restore") from None
        yield


def _new_project(staged: Path, root: Path, manifest: Manifest) -> None:
    """Makes the project from the backup's git bundle, with all branches and tags, and puts it into place.

    A missing folder appears as a whole; an empty one, which may be somebody's working folder, is filled.
    """
    clone = _clone(staged, manifest)
    for name in SETTINGS:  # as they were, also edits that were not committed
        if (staged / "project" / name).is_file():
            _refuse_link((clone / name).parent)
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            (staged / "project" / name).replace(clone / name)
    for name in _STATE:
        if (staged / "project" / name).exists():
            (staged / "project" / name).rename(clone / name)
    if not root.exists():
        clone.rename(root)
        fsync_folder(root.parent)
        return
    for path in clone.iterdir():
        if (root / path.name).is_dir():  # without files, see _is_new
            shutil.rmtree(root / path.name)
        path.rename(root / path.name)
    fsync_folder(root)


def _clone(staged: Path, manifest: Manifest) -> Path:
    """The repository of the backup's git bundle; an empty folder without one."""
    clone = staged / "clone"
    clone.mkdir()
    if (staged / BUNDLE).is_file():
        git(clone, "init", "--quiet", "--initial-branch", manifest.branch or "main")
        git(clone, "fetch", "--quiet", "--update-head-ok", str(staged / BUNDLE), "+refs/*:refs/*")
        if manifest.branch:
            git(clone, "reset", "--quiet", "--hard")
        else:
            git(clone, "checkout", "--quiet", "--detach", manifest.commit)
        if manifest.origin:
            git(clone, "remote", "add", "origin", manifest.origin)
    return clone


def _refuse_link(folder: Path) -> None:
    """Git's history can have a link in place of .dvc/, and what is written there would be written elsewhere."""
    if folder.is_symlink():
        raise BackupError(f"the backup has a link in place of the folder {folder.name}/: nothing was restored")


def _into_project(staged: Path, root: Path, replaced: Path) -> None:
    """Replaces the state of a clone; of its settings, only missing ones are restored."""
    for name in SETTINGS:
        if (staged / "project" / name).is_file() and not (root / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (staged / "project" / name).rename(root / name)
    for name in _STATE:
        for ending in _BESIDE_SQLITE if name == STORE else ("",):
            if (root / (name + ending)).exists():
                replaced.mkdir(exist_ok=True)
                (root / (name + ending)).rename(replaced / (name + ending))
        if (staged / "project" / name).exists():
            (staged / "project" / name).rename(root / name)
    fsync_folder(root)


def _restore_cache(folder: Path, root: Path) -> None:
    """Files of DVC's cache are named by their content: those that are there are the same."""
    for path in filter(Path.is_file, folder.rglob("*")):
        name = path.relative_to(folder)
        target = dvc_cache(root) / name
        if _CACHE_FILE.fullmatch(name.as_posix()) and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, target)


def _restore_server(database: Path, server: ServerDatabase, *, replace: bool) -> tuple[bool, bool]:
    """Returns whether the database was restored, and whether there was one that was left as it is."""
    target = server.path
    if not database.is_file() or target is None:
        return False, False
    if target.exists() and not replace:
        return False, True
    replaced = _unused(target.with_name(f"{target.name}.before-restore-{_now()}"))
    for ending in _BESIDE_SQLITE:
        former = target.with_name(target.name + ending)
        if former.exists():
            former.rename(replaced.with_name(replaced.name + ending))

    def copy(temporary: Path) -> None:
        shutil.copy(database, temporary)  # with its mode; the two may be on different disks

    write_atomically(target, copy)
    return True, False
