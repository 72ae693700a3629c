"""A project's name and id: the same in all clones, apart from those of other projects."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tasks.project.init_project import init_project
from tasks.shared import tracking
from tasks.shared.errors import UsageError
from tasks.shared.project_identity import (
    PROJECT_FILE,
    ProjectIdentity,
    derived_identity,
    read_identity,
    refuse_clash,
    start_identity,
)
from tasks.shared.versioning import commit_all


def _clone(source: Path, target: Path) -> Path:
    subprocess.run(["git", "clone", "-q", str(source), str(target)], check=True)
    return target


def test_clones_share_the_identity_and_namesakes_do_not(tmp_path: Path) -> None:
    first, second = (init_project(tmp_path / place / "film") for place in ("a", "b"))
    identity = read_identity(first)
    assert identity.name == "film"
    assert read_identity(_clone(first, tmp_path / "another folder")) == identity
    assert read_identity(second).name == "film"
    assert read_identity(second).id != identity.id


def test_a_project_from_before_has_one_id_in_all_clones(tmp_path: Path) -> None:
    film = init_project(tmp_path / "film")
    (film / PROJECT_FILE).unlink()
    commit_all(film, "Before project.yaml", [PROJECT_FILE])
    clone = _clone(film, tmp_path / "film two")
    assert read_identity(clone).id == read_identity(film).id
    assert read_identity(clone).name == "film-two"
    assert start_identity(film) == [PROJECT_FILE]
    assert start_identity(film) == []
    assert read_identity(film) == derived_identity(film)


@pytest.mark.parametrize("number", ["012345678912", "123456789e12", "0x1234567890"])
def test_an_id_of_digits_is_text(tmp_path: Path, number: str) -> None:
    (tmp_path / PROJECT_FILE).write_text(f"name: film\nid: {number}\n")
    if "x" in number:
        with pytest.raises(UsageError, match="hexadecimal"):
            read_identity(tmp_path)
    else:
        assert read_identity(tmp_path).id == number


@pytest.mark.parametrize("text", ["", "name: film", "name: a/b\nid: 0123456789ab", "name: [", "- a", "\0"])
def test_a_file_that_is_wrong_is_refused_with_what_it_holds(tmp_path: Path, text: str) -> None:
    (tmp_path / PROJECT_FILE).write_text(text)
    with pytest.raises(UsageError, match=r"project\.yaml.*hexadecimal"):
        read_identity(tmp_path)


def test_two_projects_of_one_name_do_not_share_an_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'server.db'}")
    first, second = (init_project(tmp_path / place / "film") for place in ("a", "b"))
    monkeypatch.chdir(first)
    run_id = tracking.start_training_run("all", settings={})
    assert run_id is not None
    monkeypatch.chdir(second)
    with pytest.raises(UsageError, match=r"another project that is called film.*change the name in project\.yaml"):
        tracking.start_training_run("all", settings={})
    identity = read_identity(second).model_copy(update={"name": "harbour"})
    (second / PROJECT_FILE).write_text(identity.text())
    other = tracking.start_training_run("all", settings={})
    assert other is not None
    names = {
        tracking.client().get_experiment(tracking.client().get_run(i).info.experiment_id).name for i in (run_id, other)
    }
    assert names == {"stylereel.film", "stylereel.harbour"}


def test_what_says_no_owner_may_be_used() -> None:
    mine = ProjectIdentity(name="film", id="0123456789ab")
    refuse_clash(mine, None, "the queue film")
    refuse_clash(mine, mine.id, "the queue film")
    with pytest.raises(UsageError, match="the queue film belongs to another project"):
        refuse_clash(mine, "ba9876543210", "the queue film")


def test_tags_have_name_and_id() -> None:
    identity = ProjectIdentity(name="film", id="0123456789ab")
    assert identity.tags == ["stylereel", "project:film", "project-id:0123456789ab"]
