"""Versions of data and code: runs dvc (the only module that does) and queries the project's git."""

from __future__ import annotations

import configparser
import hashlib
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.shared.child_processes.call import call, capture
from tasks.shared.child_processes.time_limit import check_time, patience_s
from tasks.shared.errors import UsageError
from tasks.shared.shown_url import shown_url

log = logging.getLogger(__name__)

STAGES = ("prepare", "train", "evaluate", "stylize")
"""The stages of dvc.yaml in the DAG's order; the same names as the flows and the sections of params.yaml."""

_IDENTITY = {"NAME": "stylereel", "EMAIL": "stylereel@localhost"}
_FIRST_PAUSE_S = 1.0
_LOCK_WORDS = ("Unable to acquire lock", "is busy, it is being blocked by")
_SKIP_WORDS = ("didn't change, skipping", "is cached - skipping run", "Pulling data for")
_RUN_WORDS = "Running stage '"
_COMMAND_FAILED = "failed to run: "
_NO_QUESTIONS = {"GIT_TERMINAL_PROMPT": "0"}
"""A run at night has nobody to answer."""


class VersioningError(RuntimeError):
    """dvc or git failed; the message says what to do."""


class _DvcError(VersioningError):
    """dvc failed.

    Attributes:
        lines: the last ones of its output, and those that say that a stage began.
    """

    def __init__(self, message: str, lines: Sequence[str]) -> None:
        super().__init__(message)
        self.lines = lines


@dataclass(frozen=True)
class GitState:
    """Commit and changes of a folder.

    Attributes:
        commit: hash of HEAD; None outside a repository or before the first commit.
        changed: paths with uncommitted changes, untracked ones included.
    """

    commit: str | None
    changed: tuple[str, ...]

    @property
    def dirty(self) -> bool:
        """Whether the files differ from the commit."""
        return bool(self.changed)


def project_root(start: Path | None = None) -> Path:
    """The project that contains ``start`` (default: the working folder).

    A queued ``dvc exp`` runs in a temporary checkout below ``.dvc/tmp/exps``: its project is the outer one.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "params.yaml").is_file() or (folder / ".dvc").is_dir():
            parts = folder.parts
            inner = next((i for i in range(len(parts) - 2) if parts[i : i + 3] == (".dvc", "tmp", "exps")), None)
            return folder if inner is None else Path(*parts[:inner])
    return here


def head_commit(root: Path) -> str | None:
    """Hash of HEAD; None outside a repository or before the first commit."""
    return git(root, "rev-parse", "HEAD", check=False).strip() or None


def git_state(root: Path) -> GitState:
    """Commit and changed files of ``root``; an empty state outside git."""
    status = git(root, "status", "--porcelain", check=False)
    changed = tuple(line[3:] for line in status.splitlines()) if status else ()
    # A run writes dvc.lock; its digest is recorded in addition to the commit.
    return GitState(commit=head_commit(root), changed=tuple(p for p in changed if p.strip('"') != "dvc.lock"))


def first_commit(root: Path) -> tuple[str, str] | None:
    """Hash of the oldest commit of HEAD's history, and the path of ``root`` in the repository: equal in all clones.

    Returns:
        None outside git, or before the first commit.
    """
    oldest = git(root, "rev-list", "--max-parents=0", "HEAD", check=False).split()
    return (oldest[-1], git(root, "rev-parse", "--show-prefix", check=False).strip()) if oldest else None


def dvc_settings(root: Path) -> configparser.ConfigParser:
    """DVC's settings of a checkout, those of .dvc/config.local last; without those of the user and the machine.

    Raises:
        configparser.Error: a file is damaged.
    """
    settings = configparser.ConfigParser(interpolation=None)
    settings.read([root / ".dvc" / "config", root / ".dvc" / "config.local"], encoding="utf-8")
    return settings


def dvc_cache(root: Path) -> Path:
    """DVC's cache of a checkout, absolute."""
    folder = Path(os.path.expanduser(dvc_settings(root).get("cache", "dir", fallback="") or "cache"))  # noqa: PTH111
    return Path(os.path.normpath(root.absolute() / ".dvc" / folder))


def lock_digest(root: Path) -> str | None:
    """SHA-256 of dvc.lock, which names every version of data and models; None if there is none yet."""
    path = root / "dvc.lock"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def reproduce(
    root: Path,
    stage: str,
    *,
    environment: Mapping[str, str] | None = None,
    lock_wait_s: float = 3600.0,
    pull: bool = False,
) -> bool:
    """Runs ``dvc repro --single-item STAGE``; waits while another process holds the project's lock.

    A failed stage is not retried: its inputs have not changed.

    Args:
        root: the checkout.
        stage: of dvc.yaml.
        environment: further variables of the stage.
        lock_wait_s: how long to wait for another dvc.
        pull: take the outputs from the DVC remote if another machine has run the stage on the same inputs.

    Returns:
        Whether the stage ran; False: nothing that it depends on has changed, or an earlier run did the same.

    Raises:
        VersioningError: the stage failed, or the lock was held for longer than ``lock_wait_s``.
    """
    words = ["repro", "--single-item", stage]
    if pull:
        try:
            return _has_run(run_dvc(root, [*words, "--pull"], environment=environment, lock_wait_s=lock_wait_s))
        except _DvcError as error:
            if any(words in line for line in error.lines for words in (_RUN_WORDS, _COMMAND_FAILED)):
                raise  # the stage has begun: what failed is no pull
            # A remote that is away must not cost a night: what this machine has or computes is pushed by a later run.
            log.warning("%s: results of other machines cannot be pulled, going on without them: %s", stage, error)
    return _has_run(run_dvc(root, words, environment=environment, lock_wait_s=lock_wait_s))


def _has_run(lines: Sequence[str]) -> bool:
    """Where data that was to be pulled is missing, the stage runs nevertheless."""
    ran = any(_RUN_WORDS in line for line in lines)
    return ran or not any(words in line for line in lines for words in _SKIP_WORDS)


def push(root: Path, *, lock_wait_s: float = 3600.0) -> None:
    """Copies data and models of dvc.lock to the default remote, and which inputs of the stages they were made from.

    Raises:
        VersioningError: dvc could not push.
    """
    run_dvc(root, ["push", "--run-cache"], lock_wait_s=lock_wait_s)


def experiments_of(root: Path, *, all_commits: bool = False) -> list[dict[str, Any]]:
    """What ``dvc exp show --json`` prints: the workspace and commits, with their experiments.

    Args:
        root: the project.
        all_commits: all of them, not the last one alone.

    Raises:
        VersioningError: dvc failed.
    """
    shown = _read_dvc(root, ["exp", "show", "--json", *(["--all-commits"] if all_commits else [])])
    found: list[dict[str, Any]] = json.loads(shown)
    return found


def collect_garbage(root: Path, sharing: Sequence[Path] = (), *, dry: bool) -> None:
    """Removes from DVC's cache what neither the workspaces, nor any commit or experiment of the clones, needs.

    All commits, not the tips of branches: a promoted model may be older than the last night's.

    Args:
        root: the project.
        sharing: further checkouts of it that use its cache.
        dry: lists it only.

    Raises:
        UsageError: the cache is shared with other projects, whose data would be removed.
        VersioningError: dvc failed.
    """
    for setting in _read_dvc(root, ["config", "--list"]).splitlines():
        if setting.startswith("cache.dir="):
            raise UsageError(
                f"other projects may use DVC's cache ({setting}): run `dvc gc --workspace --all-commits "
                "--all-experiments --projects OTHER ...` with all of them"
            )
    scope = ["--workspace", "--all-commits", "--all-experiments"]
    scope += ["--projects", *map(str, sharing)] if sharing else []
    run_dvc(root, ["gc", *scope, "--dry" if dry else "--force"])


def _read_dvc(root: Path, arguments: Sequence[str]) -> str:
    """What dvc prints; it must not need the project's lock.

    Raises:
        VersioningError: dvc failed.
    """
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=root, env=child_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise VersioningError(f"`dvc {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return done.stdout


def run_dvc(
    root: Path, arguments: Sequence[str], *, environment: Mapping[str, str] | None = None, lock_wait_s: float = 3600.0
) -> list[str]:
    """Runs dvc in ``root``, prints its output, and waits while its lock is held.

    Returns:
        The last lines of its output, and those that say that a stage began.

    Raises:
        VersioningError: dvc failed, or its lock was held for longer than ``lock_wait_s``.
        TimeLimitError: the time limit of the context has passed; the stage has saved its state.
    """
    deadline = time.monotonic() + lock_wait_s
    pause_s = _FIRST_PAUSE_S
    while True:
        check_time()
        dvc = [sys.executable, "-m", "dvc", *arguments]
        code, lines = call(dvc, root, child_environment(environment), keep=_RUN_WORDS)
        if code == 0:
            return lines
        command = "dvc " + " ".join(arguments)
        if not any(words in line for line in lines for words in _LOCK_WORDS):
            raise _DvcError(f"`{command}` failed with exit code {code}; see its messages above", lines)
        if pause_s == _FIRST_PAUSE_S:
            log.info("another dvc holds the lock of %s: waiting for it, for at most %.0f s", root, lock_wait_s)
        if time.monotonic() + pause_s > deadline:
            raise VersioningError(
                f"`{command}`: another dvc held the project's lock for {lock_wait_s:.0f} s; try later"
            )
        time.sleep(patience_s(pause_s))
        pause_s = min(15.0, pause_s * 1.5)


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a stage's process: this Python first on PATH, without the ids of this process's runs.

    A child that inherits MLFLOW_RUN_ID or Prefect's PREFECT__FLOW_RUN_ID would write into the parent's run.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT__", "MLFLOW_RUN_ID", "MLFLOW_ACTIVE_"))}
    kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    kept.setdefault("DVC_NO_ANALYTICS", "1")
    return {**kept, **(extra or {})}


def start_repository(root: Path) -> None:
    """Runs ``git init`` unless ``root`` is a repository.

    Raises:
        VersioningError: git failed.
    """
    if not (root / ".git").exists():
        git(root, "init", "--quiet", "--initial-branch", "main")


def commit_all(root: Path, message: str, paths: Sequence[str]) -> str:
    """Commits the present state of ``paths`` to the branch that is checked out.

    Returns:
        The new commit.

    Raises:
        VersioningError: git failed.
    """
    git(root, "add", "--", *paths)
    git(root, "commit", "--quiet", "-m", message, "--", *paths, environment=committer(root))
    return git(root, "rev-parse", "HEAD").strip()


def committer(root: Path) -> dict[str, str]:
    """Environment with the committer: empty if git is configured, else a default name."""
    named = git(root, "config", "user.email", check=False).strip()
    if named or os.environ.get("GIT_AUTHOR_EMAIL"):
        return {}
    return {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in _IDENTITY.items()}


def git(root: Path, *arguments: str, check: bool = True, environment: Mapping[str, str] | None = None) -> str:
    """Output of a git command in ``root``; of one that fails, an empty text unless ``check``.

    Raises:
        VersioningError: it failed, or git is not installed.
        TimeLimitError: the time limit of the context has passed.
    """
    check_time()
    try:
        done = capture(["git", *arguments], root, {**os.environ, **_NO_QUESTIONS, **(environment or {})})
    except FileNotFoundError:
        if check:
            raise VersioningError("git is not installed; a project needs it") from None
        return ""
    if done.returncode and check:
        said = shown_url(done.stderr.strip() or done.stdout.strip())
        raise VersioningError(f"`git {arguments[0]}` failed: {said}")
    return done.stdout if done.returncode == 0 else ""
