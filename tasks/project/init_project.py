"""Creates a project of the user's own: git, DVC, settings and folders, apart from the tool's clone."""

from __future__ import annotations

from pathlib import Path

from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.state_folder import STATE_FOLDER
from tasks.project.params_file import example_params
from tasks.project.sync import CODE_FOLDER, sync
from tasks.project.templates import DVC_CONFIG, DVC_YAML, GITIGNORE, PREFECT_YAML, README
from tasks.shared.errors import UsageError
from tasks.shared.project_identity import PROJECT_FILE, new_identity
from tasks.shared.versioning import VersioningError, commit_all, start_repository


def init_project(folder: Path) -> Path:
    """Creates a project in ``folder``: git, DVC, params.yaml, folders, and a first commit.

    Args:
        folder: new, or with pictures in it; it must not contain parts of a project.

    Returns:
        The folder, absolute.

    Raises:
        UsageError: the folder is a project, or is inside one.
    """
    folder = folder.expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: name a folder for the project")
    for taken in ("params.yaml", "dvc.yaml", ".dvc", "dvc.lock"):
        if (folder / taken).exists():
            raise UsageError(f"{folder} already has a {taken}: choose another folder, or work in this project")
    if outer := next((p for p in folder.parents if (p / ".dvc").is_dir()), None):
        raise UsageError(f"{folder} is inside the project {outer}: choose a folder outside of it")
    for name in ("plates/my_shot", "painted/my_shot"):
        if not (folder / name).parent.exists():
            (folder / name).mkdir(parents=True)
    identity = new_identity(folder)
    files = {
        "params.yaml": example_params(),
        "dvc.yaml": DVC_YAML.format(code=CODE_FOLDER),
        PROJECT_FILE: identity.text(),
        "prefect.yaml": PREFECT_YAML.format(name=identity.name, id=identity.id),
        "README.md": README.format(name=folder.name),
        ".gitignore": GITIGNORE,
        ".dvcignore": f"{STATE_FOLDER}\n",
        ".dvc/config": DVC_CONFIG.format(name=folder.name),
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    }
    for name, text in files.items():
        if not (folder / name).exists():
            write_bytes_atomically(folder / name, text.encode())
    configure(folder)
    sync(folder)
    start_repository(folder)
    try:
        commit_all(folder, "Start a stylereel project", sorted([*files, CODE_FOLDER]))
    except VersioningError as error:
        raise UsageError(f"the project was created, but git could not commit it: {error}") from error
    return folder


def configure(root: Path) -> None:
    """Writes the settings of this checkout: DVC's site cache is inside it, not in a folder shared by all users.

    The path must be absolute (DVC resolves it against the working folder), so it cannot be committed.
    """
    local = root / ".dvc" / "config.local"
    if (root / ".dvc").is_dir() and not local.exists():
        place = (root / ".dvc" / "tmp" / "site").absolute()
        write_bytes_atomically(local, f"[core]\n    site_cache_dir = {place}\n".encode())
