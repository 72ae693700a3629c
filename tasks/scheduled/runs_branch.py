"""The branch of scheduled runs, such as runs/nightly: on top of the commit that ran, what the run changed.

git holds dvc.lock, dvc.yaml and the code digests; DVC holds every picture, model and figure that dvc.lock names.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tasks.shared.shown_url import shown_url
from tasks.shared.versioning import VersioningError, committer, git

_ATTEMPTS = 5
"""Of publishing: each is overtaken by another machine's only."""


def runs_tip(root: Path, branch: str) -> str | None:
    """The newest commit of the branch: that of the remote, or a later one here that could not be pushed yet."""
    here, there = (_commit(root, ref) for ref in (f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"))
    if not (here and there):
        return here or there
    return here if _contains(root, here, there) else there


def commit_results(root: Path, branch: str, paths: Sequence[str], message: str) -> str:
    """Commits the present state of ``paths`` on top of ``branch``, without touching the checkout or its index.

    Args:
        root: the repository.
        branch: created from HEAD if it does not exist.
        paths: relative to ``root``, ignored by git or not; missing ones are skipped.
        message: of the commit.

    Returns:
        The new commit; the branch's present one if nothing differs from it.

    Raises:
        VersioningError: git failed.
    """
    head, tip = git(root, "rev-parse", "HEAD").strip(), runs_tip(root, branch)
    tree = _tree_with(root, paths)
    if tip and git(root, "rev-parse", f"{tip}^{{tree}}").strip() == tree and _contains(root, tip, head):
        return tip
    # The tree is that of HEAD, which has run, plus the results; the branch keeps both histories.
    parents = [tip] if tip and _contains(root, tip, head) else [p for p in (tip, head) if p]
    onto = [word for parent in parents for word in ("-p", parent)]
    commit = git(root, "commit-tree", tree, *onto, "-m", message, environment=committer(root)).strip()
    git(root, "update-ref", f"refs/heads/{branch}", commit)
    return commit


def publish_results(root: Path, branch: str, paths: Sequence[str], message: str) -> str:
    """Commits as ``commit_results`` does, and pushes the branch to the repository that the checkout was cloned from.

    Another machine may publish meanwhile: its commit is fetched, and this one goes on top of it.

    Returns:
        The commit.

    Raises:
        VersioningError: git failed, or the repository refused the commit or cannot be reached.
    """
    attempt = 1
    while True:
        commit = commit_results(root, branch, paths, message)
        try:
            push_results(root, branch)
            return commit
        except VersioningError:  # somebody else has published, or the repository refused or cannot be reached
            if attempt == _ATTEMPTS or not _fetches_news(root, branch):
                raise
        attempt += 1


def push_results(root: Path, branch: str) -> None:
    """Pushes the branch; see ``publish_results``."""
    try:
        git(root, "push", "--quiet", "origin", f"refs/heads/{branch}:refs/heads/{branch}")
    except VersioningError as error:
        target = shown_url(git(root, "remote", "get-url", "origin").strip())
        raise VersioningError(
            f"cannot push {branch} to {target}: {error}. The results are "
            f"committed in {root}, and the next run pushes them too. If the branch is checked out there, change to "
            f"another one: `git worktree add --detach ../results {branch}` shows it beside your checkout"
        ) from error


def _fetches_news(root: Path, branch: str) -> bool:
    """Fetches, and tells whether the branch at the remote has moved."""
    there = f"refs/remotes/origin/{branch}"
    before = _commit(root, there)
    git(root, "fetch", "--quiet", "origin", check=False)
    return _commit(root, there) != before


def _tree_with(root: Path, paths: Sequence[str]) -> str:
    """The tree of HEAD with the present state of ``paths``, made in an index of its own."""
    index = Path(git(root, "rev-parse", "--absolute-git-dir").strip()) / f"stylereel-index-{os.getpid()}"
    environment = {"GIT_INDEX_FILE": str(index)}
    try:
        git(root, "read-tree", "HEAD", environment=environment)
        present = [path for path in paths if (root / path).exists()]
        if present:
            git(root, "add", "--force", "--", *present, environment=environment)
        return git(root, "write-tree", environment=environment).strip()
    finally:
        index.unlink(missing_ok=True)


def _commit(root: Path, ref: str) -> str | None:
    return git(root, "rev-parse", "--verify", "--quiet", ref, check=False).strip() or None


def _contains(root: Path, newer: str, older: str) -> bool:
    """Whether the history of ``newer`` has ``older``."""
    return git(root, "merge-base", newer, older, check=False).strip() == older
