"""Creates a backup of a project while its servers and its runs go on.

The order makes the parts fit together, since runs write files first and name them afterwards: .stylereel/ names
versions of MLflow's store, which is copied after it, and the store names files of mlartifacts/, which come last.
"""

from __future__ import annotations

import importlib.metadata
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from stylegan_core.storage.atomic import write_atomically
from stylegan_core.storage.state_folder import STATE_FOLDER
from tasks.backup.archive import ArchiveWriter, Manifest, written_archive
from tasks.backup.databases import copy_database
from tasks.shared.errors import UsageError
from tasks.shared.project_identity import PROJECT_FILE, read_identity
from tasks.shared.shown_url import shown_url
from tasks.shared.tracking import tracking_uri
from tasks.shared.versioning import dvc_cache, dvc_settings, git, git_state, head_commit

SUFFIX = ".tar"
BUNDLE = "project.bundle"
SERVER_DATABASE = "server/prefect.db"
DVC_CACHE = "dvc-cache"
STORE, ARTIFACTS = "mlflow.db", "mlartifacts"
SETTINGS = (
    *(PROJECT_FILE, "params.yaml", "dvc.yaml", "dvc.lock", "prefect.yaml"),
    *(".dvc/config", ".dvc/config.local"),
)
"""Files that git may not have, or not as they are."""
_RUNS = "runs"
_SKIPPED = (_RUNS, "pipeline.lock", "runs.lock", "notified.lock", "last-error.txt", "last-exit.json")
"""In .stylereel/: runs/ is copied twice, the rest is of the moment."""


@dataclass(frozen=True)
class ServerDatabase:
    """The database of the Prefect server.

    Attributes:
        url: SQLAlchemy's.
    """

    url: str

    @property
    def path(self) -> Path | None:
        """The SQLite file; None if it is another database."""
        kind, _, place = self.url.partition(":///")
        return Path(place.partition("?")[0]) if kind.startswith("sqlite") and place else None


def create_backup(
    root: Path, target: Path, server: ServerDatabase, *, with_data: bool = False
) -> tuple[Path, Manifest]:
    """Writes a backup, whole or not at all.

    Args:
        root: the project.
        target: the new file, or a folder for NAME-TIME.tar.
        server: the database of the Prefect server.
        with_data: also copy DVC's cache: pictures, models and results.

    Returns:
        The file, and its manifest without the list of files.

    Raises:
        UsageError: the file exists, its folder does not, or the clone is a shallow one.
        BackupError: a database cannot be copied.
        VersioningError: git failed.
        OSError: something cannot be read or written.
    """
    identity, now = read_identity(root), time.gmtime()
    if target.is_dir():
        target = target / f"{identity.name}-{time.strftime('%Y%m%d-%H%M%S', now)}{SUFFIX}"
    if target.exists():
        raise UsageError(f"{target} exists: name another file, or a folder")
    if target.suffix != SUFFIX:  # a folder of a disk that is not mounted must not become a file
        raise UsageError(f"there is no folder {target}: make it, or name a file that ends with {SUFFIX}")
    if git(root, "rev-parse", "--is-shallow-repository", check=False).strip() == "true":
        raise UsageError(
            "this clone has no full history, so git cannot restore it: call `git fetch --unshallow` before"
        )
    manifest = Manifest(
        project=identity.name,
        id=identity.id,
        root=str(root.resolve()),
        time=time.strftime("%Y-%m-%dT%H:%M:%SZ", now),
        stylereel=importlib.metadata.version("stylereel"),
        commit=head_commit(root) or "",
        branch=git(root, "branch", "--show-current", check=False).strip(),
        origin=git(root, "remote", "get-url", "origin", check=False).strip(),
        left_out=tuple(_left_out(root, server, with_data=with_data)),
    )

    def write(temporary: Path) -> None:
        # Beside the target, where there is room for the databases.
        folder = target.absolute().parent
        with tempfile.TemporaryDirectory(dir=folder, prefix=".backup-") as place, written_archive(temporary) as archive:
            _add_all(archive, root, Path(place), server, with_data=with_data)
            archive.finish(manifest)

    write_atomically(target, write)
    return target, manifest


def _add_all(archive: ArchiveWriter, root: Path, place: Path, server: ServerDatabase, *, with_data: bool) -> None:
    if _has_history(root):
        git(root, "bundle", "create", "--quiet", str(place / BUNDLE), "--all")
        archive.add(place / BUNDLE, BUNDLE)
    for name in SETTINGS:
        if (root / name).is_file():
            archive.add(root / name, f"project/{name}")
    state = root / STATE_FOLDER
    archive.add_folder(state, f"project/{STATE_FOLDER}", skip=_SKIPPED)
    # The server's database calls a run that works now "running". With its lock file, the next worker finds that it
    # is dead and starts its work again; so a run must not begin or end unseen between the two.
    begun = _running(state)
    if server.path is not None and server.path.is_file():
        copy_database(server.path, place / "prefect.db")
        archive.add(place / "prefect.db", SERVER_DATABASE)
    (place / "lock").touch()
    for name in sorted(begun | _running(state)):
        archive.add(place / "lock", f"project/{STATE_FOLDER}/{_RUNS}/{name}")
    if _own_store(root) and (root / STORE).is_file():
        copy_database(root / STORE, place / STORE)
        archive.add(place / STORE, f"project/{STORE}")
        archive.add_folder(root / ARTIFACTS, f"project/{ARTIFACTS}")
    if with_data:
        archive.add_folder(dvc_cache(root), DVC_CACHE)


def _has_history(root: Path) -> bool:
    """Whether the project is a repository with commits; in a folder of a larger one, git's history is not its own."""
    return head_commit(root) is not None and not git(root, "rev-parse", "--show-prefix").strip()


def _running(state: Path) -> set[str]:
    """Names of the lock files of runs, see ``flows.dead_runs``."""
    return {path.name for path in (state / _RUNS).glob("*.lock")}


def _own_store(root: Path) -> bool:
    return tracking_uri(root) == f"sqlite:///{root / STORE}"


def _left_out(root: Path, server: ServerDatabase, *, with_data: bool) -> list[str]:
    lines = []
    if not _has_history(root):
        lines.append("git's history: there is none, or it is that of a larger repository; back up the project's files")
    elif changed := sorted({name for name in git_state(root).changed if name.strip('"') not in SETTINGS}):
        from stylegan_core.data.sources import abbreviate

        lines.append(f"changes that are not committed: {abbreviate(changed)}")
    if server.path is None:
        lines.append(f"the database of the Prefect server: {_dump(server.url, 'prefect')}")
    elif not server.path.is_file():
        lines.append(f"the database of the Prefect server: there is none at {server.path}, so copy it where it runs")
    if not _own_store(root):
        uri = tracking_uri(root)
        lines.append(f"MLflow's store: {_dump(uri, 'mlflow')}, and copy its files")
    if not with_data:
        settings = dvc_settings(root)
        remote = settings.get("core", "remote", fallback="")
        url = settings.get(f"'remote \"{remote}\"'", "url", fallback="") if remote else ""
        kept = f"`dvc push` keeps it in {shown_url(url)}" if url else "there is no DVC remote"
        lines.append(f"DVC's data in {dvc_cache(root)}: {kept}; `--with-data` copies it")
    lines.append("checkpoints in the user's cache: an unfinished training starts again")
    return lines


def _dump(uri: str, name: str) -> str:
    """How to copy a database that is no SQLite file of ours; without its password."""
    if uri.startswith("postgres"):
        from sqlalchemy import URL, make_url

        url = make_url(uri)  # as Prefect and MLflow read it: a password may have any character
        shown = URL.create(url.get_backend_name(), url.username, None, url.host, url.port, url.database)
        return f"run `pg_dump --format=custom --file {name}.dump {shown}`"
    if uri.startswith("sqlite"):
        return f"run `sqlite3 {uri.partition(':///')[2].partition('?')[0]} '.backup {name}.db'`"
    return f"back up {shown_url(uri)} where it runs"
