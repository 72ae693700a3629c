"""The checkout of scheduled runs: a named commit of the source, whatever the project's own files are."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from tasks.project.init_project import init_project
from tasks.scheduled.run_checkout import open_run_checkout, run_checkout_folder
from tasks.scheduled.runs_branch import commit_results
from tasks.shared.project_home import project_home
from tasks.shared.versioning import VersioningError, commit_all, git

BRANCH = "runs/nightly"


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "empty-home"))
    return init_project(tmp_path / "film")


def _edit(root: Path, text: str) -> str:
    (root / "README.md").write_text(text)
    return commit_all(root, text, ["README.md"])


def test_new_commits_arrive_and_edits_stay_out(film: Path, caplog: pytest.LogCaptureFixture) -> None:
    runs = film.with_name("film-runs")
    assert open_run_checkout(film, "", BRANCH).root == runs == run_checkout_folder(film)
    assert project_home(runs) == film
    (runs / "README.md").write_text("a leftover of the last run")
    (runs / "dvc.lock").write_text("of the last run")
    commit = _edit(film, "new work")
    (film / "README.md").write_text("not committed")
    with caplog.at_level("WARNING"):
        assert open_run_checkout(film, "", BRANCH).commit == commit
    assert "uncommitted changes are not in it: README.md" in caplog.text
    assert (runs / "README.md").read_text() == "new work"
    assert (runs / "dvc.lock").read_text() == "of the last run", "what DVC knows of the stages"


def test_a_dvc_lock_in_the_commit_replaces_the_untracked_one(film: Path) -> None:
    runs = open_run_checkout(film, "", BRANCH).root
    (runs / "dvc.lock").write_text("of the last run")
    (film / "dvc.lock").write_text("committed")
    commit_all(film, "Results", ["dvc.lock"])
    open_run_checkout(film, "", BRANCH)
    assert (runs / "dvc.lock").read_text() == "committed"


def test_a_lost_checkout_begins_where_the_branch_is(film: Path, tmp_path: Path) -> None:
    (film / "dvc.lock").write_text("of the last run")
    commit_results(film, BRANCH, ["dvc.lock"], "Results")
    (film / "dvc.lock").unlink()
    runs = open_run_checkout(film, "", BRANCH).root
    assert (runs / "dvc.lock").read_text() == "of the last run"


def test_the_source_is_where_the_project_was_cloned_from(
    film: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clone = tmp_path / "mine"
    git(tmp_path, "clone", "--quiet", str(film), str(clone))
    pushed = _edit(film, "pushed by a colleague")
    local = _edit(clone, "not pushed yet")
    with caplog.at_level("WARNING"):
        checkout = open_run_checkout(clone, "", BRANCH)
    assert checkout.root == tmp_path / "mine-runs"
    assert checkout.commit == pushed
    assert "1 of main that are not pushed" in caplog.text
    with pytest.raises(VersioningError, match="push it, or change `ref`"):
        open_run_checkout(clone, local, BRANCH)
    git(film, "tag", "approved", f"{pushed}~1")
    assert open_run_checkout(clone, "approved", BRANCH).commit == git(film, "rev-parse", "approved").strip()


def test_dvc_shares_the_cache_and_the_settings(film: Path) -> None:
    with (film / ".dvc" / "config.local").open("a") as file:
        file.write("['remote \"storage\"']\n    password = secret 100%\n    timeout = 5\n")
    runs = open_run_checkout(film, "", BRANCH).root
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(runs / ".dvc" / "config.local")
    assert settings["cache"]["dir"] == str(film / ".dvc" / "cache")
    assert settings["core"]["autostage"] == "false", "the next checkout would remove a staged dvc.lock"
    assert settings["core"]["site_cache_dir"] == str(runs / ".dvc" / "tmp" / "site")
    assert settings["'remote \"storage\"'"]["password"] == "secret 100%"
    assert (runs / ".dvc" / "config.local").stat().st_mode & 0o077 == 0


def test_refusals(film: Path, tmp_path: Path) -> None:
    with pytest.raises(VersioningError, match="no git commit"):
        open_run_checkout(tmp_path, "", BRANCH)
    with pytest.raises(VersioningError, match="inside a git repository"):
        open_run_checkout(film / "plates", "", BRANCH)
    (tmp_path / "film-runs").mkdir()
    with pytest.raises(VersioningError, match="rename this folder"):
        open_run_checkout(film, "", BRANCH)
    (tmp_path / "film-runs").rmdir()
    git(film, "checkout", "-q", "--detach")
    with pytest.raises(VersioningError, match="no branch checked out"):
        open_run_checkout(film, "", BRANCH)
    git(film, "remote", "add", "origin", str(tmp_path / "nowhere"))
    with pytest.raises(VersioningError, match=r"nowhere"):
        open_run_checkout(film, "main", BRANCH)


def test_a_branch_that_was_renamed_is_not_found_by_the_clone_s_own(film: Path, tmp_path: Path) -> None:
    clone = tmp_path / "mine"
    git(tmp_path, "clone", "--quiet", str(film), str(clone))
    open_run_checkout(clone, "main", BRANCH)
    git(film, "branch", "-m", "main", "trunk")
    with pytest.raises(VersioningError, match="has no branch, tag or commit main"):
        open_run_checkout(clone, "main", BRANCH)
    assert open_run_checkout(clone, git(film, "rev-parse", "trunk").strip()[:10], BRANCH).root == tmp_path / "mine-runs"


def test_a_password_of_the_remote_is_not_shown(film: Path) -> None:
    git(film, "remote", "add", "origin", "https://artist:secret@127.0.0.1:9/film.git")
    with pytest.raises(VersioningError, match=r"127\.0\.0\.1") as refused:
        open_run_checkout(film, "main", BRANCH)
    assert "secret" not in str(refused.value)
