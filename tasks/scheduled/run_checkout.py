"""The checkout of scheduled runs: a clone beside the project, which runs a named commit while people edit theirs.

It shares the project's DVC cache, so that nothing is stored or fetched twice, and belongs to the program: its changes
are discarded. The project's own files, uncommitted or not, are never touched.
"""

from __future__ import annotations

import configparser
import logging
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from stylegan_core.storage.atomic import write_bytes_atomically
from tasks.scheduled.live_stage import wait_for_stage
from tasks.scheduled.runs_branch import runs_tip
from tasks.shared.project_home import HOME_FILE, project_home
from tasks.shared.shown_url import shown_url
from tasks.shared.versioning import VersioningError, dvc_cache, git, git_state, head_commit, run_dvc

log = logging.getLogger(__name__)

SUFFIX = "-runs"
_HASH = re.compile(r"[0-9a-f]{7,40}")


@dataclass(frozen=True)
class RunCheckout:
    """Where a scheduled run works.

    Attributes:
        root: the clone, beside the project.
        commit: that is checked out.
    """

    root: Path
    commit: str


def open_run_checkout(project: Path, ref: str, branch: str, *, lock_wait_s: float = 3600.0) -> RunCheckout:
    """Fetches new commits and their DVC data, and checks one out.

    Args:
        project: the checkout whose deployment runs; its remote ``origin`` has the commits, else it has them itself.
        ref: a branch, tag or commit; empty: the branch that is checked out in ``project``.
        branch: of the results; its dvc.lock tells which stages are done, if the commit has none.
        lock_wait_s: how long to wait for another dvc.

    Raises:
        VersioningError: the project has no commit or no repository of its own, the source cannot be reached, the
            folder beside the project is another one, the commit is unknown, or DVC cannot fetch its data.
    """
    if head_commit(project) is None:
        raise VersioningError(f"{project} has no git commit: commit the project before a scheduled run")
    if git(project, "rev-parse", "--show-prefix").strip():
        raise VersioningError(f"{project} is inside a git repository: scheduled runs need one of the project's own")
    project = project.resolve()
    root = run_checkout_folder(project)
    source = _source(project)
    _clone_once(project, source, root)
    _fetch(root, source)
    commit = _resolve(project, root, ref, source)
    wait_for_stage(root, lock_wait_s)
    git(root, "checkout", "--quiet", "--force", "--detach", commit)
    _take_lock_of_results(root, branch)
    _share_dvc(project, root)
    tracked = [path for path in git(root, "ls-files", "-z", "--", "*.dvc").split("\0") if path]
    if tracked:
        try:
            run_dvc(root, ["pull", *tracked], lock_wait_s=lock_wait_s)
        except VersioningError as error:
            raise VersioningError(
                f"DVC cannot fetch {', '.join(tracked)} of commit {commit[:12]}: run `dvc push` where they were added, "
                f"and check the DVC remote ({error})"
            ) from error
    log.info("commit %s of %s is checked out in %s", commit[:12], shown_url(source), root)
    return RunCheckout(root, commit)


def run_checkout_folder(project: Path) -> Path:
    """The folder of scheduled runs, beside the project: paths such as ../footage are the same in both."""
    return project.with_name(project.name + SUFFIX)


def _clone_once(project: Path, source: str, root: Path) -> None:
    if root.exists():
        if project_home(root) != project or not (root / ".git").exists():
            raise VersioningError(f"{root} is not the checkout of this project's scheduled runs: rename this folder")
        git(root, "remote", "set-url", "origin", source)
        return
    unfinished = root.with_name(f".{root.name}-unfinished")  # of a clone that was killed
    shutil.rmtree(unfinished, ignore_errors=True)
    git(project, "clone", "--quiet", "--no-checkout", source, str(unfinished))
    write_bytes_atomically(unfinished / HOME_FILE, f"{project}\n".encode())
    unfinished.rename(root)


def results_folder(project: Path) -> Path:
    """Where the newest results of scheduled runs are: their checkout, else the project itself."""
    runs = run_checkout_folder(project)
    return runs if project_home(runs) == project.resolve() else project


def models_folder(project: Path) -> Path:
    """The trained models: the project's own, or those of its scheduled runs if it has none."""
    own = project / "models"
    return own if own.is_dir() else results_folder(project) / "models"


def _source(project: Path) -> str:
    """Where the commits come from; a relative path counts from the project's repository."""
    repository = Path(git(project, "rev-parse", "--show-toplevel").strip())
    remote = git(project, "remote", "get-url", "origin", check=False).strip()
    return (
        str((repository / remote).resolve()) if remote and (repository / remote).exists() else remote or str(repository)
    )


def _fetch(root: Path, source: str) -> None:
    try:
        git(root, "fetch", "--quiet", "--prune", "--tags", "--force", "origin")
    except VersioningError as error:
        raise VersioningError(f"cannot fetch new commits from {shown_url(source)}: {error}") from error


def _resolve(project: Path, root: Path, ref: str, source: str) -> str:
    wanted = ref or git(project, "branch", "--show-current").strip()
    if not wanted:
        raise VersioningError(f"{project} has no branch checked out: name the branch of scheduled runs by `ref`")
    names = [f"refs/remotes/origin/{wanted}", f"refs/tags/{wanted}"]
    if _HASH.fullmatch(wanted):  # not a local branch: the clone's own is from its first day
        names.append(wanted)
    for name in names:
        found = git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", check=False).strip()
        if found:
            _tell_what_is_missing(project, wanted, found)
            return found
    raise VersioningError(f"{shown_url(source)} has no branch, tag or commit {wanted}: push it, or change `ref`")


def _tell_what_is_missing(project: Path, wanted: str, commit: str) -> None:
    """People expect the run to have their last edits: say so if it has not."""
    if changed := git_state(project).changed:
        log.warning("the run has commit %s; uncommitted changes are not in it: %s", commit[:12], ", ".join(changed[:5]))
    own = f"refs/remotes/origin/{wanted}..refs/heads/{wanted}"
    ahead = git(project, "rev-list", "--count", own, check=False).strip()
    if ahead not in ("", "0"):
        log.warning("the run has commit %s; %s of %s that are not pushed are not in it", commit[:12], ahead, wanted)


def _take_lock_of_results(root: Path, branch: str) -> None:
    """Of a commit without a dvc.lock, that of the last results says which stages are done."""
    if git(root, "ls-files", "dvc.lock").strip():
        return
    tip = runs_tip(root, branch)
    text = git(root, "show", f"{tip}:./dvc.lock", check=False) if tip else ""
    if text:
        write_bytes_atomically(root / "dvc.lock", text.encode())


def _share_dvc(project: Path, root: Path) -> None:
    """The checkout's own DVC settings: the project's, with its cache, and an index of its own."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(project / ".dvc" / "config.local", encoding="utf-8")
    for section in ("core", "cache"):
        if not settings.has_section(section):
            settings.add_section(section)
    settings["core"]["site_cache_dir"] = str((root / ".dvc" / "tmp" / "site").absolute())
    settings["core"]["autostage"] = "false"  # the next checkout would remove a staged dvc.lock of an interrupted run
    settings["cache"]["dir"] = str(dvc_cache(project))
    path = root / ".dvc" / "config.local"
    path.parent.mkdir(exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # it may hold a remote's password
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        settings.write(file)
