"""The branch of results: on top of what ran, changed only by changes, and never lost between two machines."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tasks.scheduled.runs_branch import commit_results, publish_results, push_results, runs_tip
from tasks.shared.versioning import VersioningError, git, git_state

BRANCH = "runs/nightly"


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    root = tmp_path / "upstream"
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True)
    (root / "params.yaml").write_text("{}\n")
    (root / ".gitignore").write_text("/reports/\n")
    _commit(root)
    return root


@pytest.fixture
def clone(upstream: Path, tmp_path: Path) -> Path:
    return _clone(upstream, tmp_path / "clone")


def _clone(upstream: Path, folder: Path) -> Path:
    subprocess.run(["git", "clone", "-q", str(upstream), str(folder)], check=True)
    return folder


def _commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "edit")


def test_ignored_files_get_there_and_the_checkout_keeps_still(clone: Path) -> None:
    (clone / "reports").mkdir()
    (clone / "reports" / "figures.json").write_text("{}")
    first = commit_results(clone, BRANCH, ["reports/figures.json", "missing"], "one")
    (clone / "reports" / "figures.json").write_text('{"a": 1}')
    second = commit_results(clone, BRANCH, ["reports/figures.json"], "two")
    assert runs_tip(clone, BRANCH) == second
    assert git(clone, "rev-parse", f"{second}^").strip() == first
    assert git(clone, "show", f"{second}:reports/figures.json") == '{"a": 1}'
    assert git(clone, "branch", "--show-current").strip() == "main"
    assert not git_state(clone).dirty


def test_without_a_change_there_is_no_commit(clone: Path) -> None:
    (clone / "dvc.lock").write_text("one")
    first = commit_results(clone, BRANCH, ["dvc.lock"], "one")
    assert commit_results(clone, BRANCH, ["dvc.lock"], "two") == first
    (clone / "params.yaml").write_text("prepare: {}\n")
    _commit(clone)
    third = commit_results(clone, BRANCH, ["dvc.lock"], "three")
    assert third != first
    assert git(clone, "show", f"{third}:params.yaml") == "prepare: {}\n"
    git(clone, "merge-base", "--is-ancestor", "main", third)


def test_two_machines_continue_one_history(upstream: Path, clone: Path, tmp_path: Path) -> None:
    other = _clone(upstream, tmp_path / "other")
    (clone / "dvc.lock").write_text("of the first")
    first = commit_results(clone, BRANCH, ["dvc.lock"], "one")
    push_results(clone, BRANCH)
    git(other, "fetch", "origin")
    (other / "dvc.lock").write_text("of the other")
    second = commit_results(other, BRANCH, ["dvc.lock"], "two")
    push_results(other, BRANCH)
    assert git(upstream, "rev-parse", BRANCH).strip() == second
    assert git(other, "rev-parse", f"{second}^").strip() == first


def test_two_machines_publish_at_the_same_time(upstream: Path, clone: Path, tmp_path: Path) -> None:
    other = _clone(upstream, tmp_path / "other")
    for root, text in ((clone, "of the first"), (other, "of the other")):
        (root / "dvc.lock").write_text(text)
    first = publish_results(clone, BRANCH, ["dvc.lock"], "one")
    second = publish_results(other, BRANCH, ["dvc.lock"], "two")  # its last fetch was before the first one's push
    assert git(upstream, "log", "--format=%H", BRANCH).split()[:2] == [second, first]
    assert git(upstream, "show", f"{BRANCH}:dvc.lock") == "of the other"


def test_publishing_to_a_repository_that_is_away_fails_at_once(upstream: Path, clone: Path) -> None:
    upstream.rename(upstream.with_name("away"))
    with pytest.raises(VersioningError, match="the next run pushes them too"):
        publish_results(clone, BRANCH, [], "one")


def test_results_that_could_not_be_pushed_are_pushed_with_the_next(upstream: Path, clone: Path) -> None:
    (clone / "dvc.lock").write_text("one")
    first = commit_results(clone, BRANCH, ["dvc.lock"], "one")
    upstream.rename(upstream.with_name("away"))
    with pytest.raises(VersioningError, match="the next run pushes them too"):
        push_results(clone, BRANCH)
    upstream.with_name("away").rename(upstream)
    (clone / "dvc.lock").write_text("two")
    second = commit_results(clone, BRANCH, ["dvc.lock"], "two")
    push_results(clone, BRANCH)
    assert git(upstream, "log", "--format=%H", BRANCH).split()[:2] == [second, first]


def test_publishing_may_be_repeated(upstream: Path, clone: Path) -> None:
    """As the pipeline's task publish is, after a push that failed."""
    (clone / "dvc.lock").write_text("one")
    commits = []
    upstream.rename(upstream.with_name("away"))
    for attempt in range(3):
        commits.append(commit_results(clone, BRANCH, ["dvc.lock"], "one"))
        if attempt == 0:
            with pytest.raises(VersioningError):
                push_results(clone, BRANCH)
            upstream.with_name("away").rename(upstream)
        else:
            push_results(clone, BRANCH)
    assert len(set(commits)) == 1
    assert git(upstream, "log", "--format=%s", BRANCH).split().count("one") == 1


def test_a_branch_that_somebody_looks_at_is_not_changed_under_him(upstream: Path, clone: Path) -> None:
    commit_results(clone, BRANCH, [], "one")
    push_results(clone, BRANCH)
    git(upstream, "checkout", "-q", BRANCH)
    (clone / "dvc.lock").write_text("two")
    commit_results(clone, BRANCH, ["dvc.lock"], "two")
    with pytest.raises(VersioningError, match="git worktree add"):
        push_results(clone, BRANCH)
