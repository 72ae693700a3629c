"""`stylereel init`: a project of the user's own, whole and committed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from stylegan_core.config import load_params
from tasks.project.init_project import init_project
from tasks.project.sync import CODE_FOLDER, is_project_apart, stale_code
from tasks.shared.errors import UsageError
from tasks.shared.versioning import STAGES, git_state
from tests.tasks.project.project_files import read_stages


def test_a_new_project_is_whole_and_committed(project: Path) -> None:
    assert (project / "plates" / "my_shot").is_dir()
    assert (project / "painted" / "my_shot").is_dir()
    assert load_params(project / "params.yaml").prepare.source == "shots"
    assert tuple(read_stages(project)) == STAGES
    state = git_state(project)
    assert state.commit
    assert not state.dirty
    assert is_project_apart(project)
    assert stale_code(project) == []


def test_stages_depend_on_the_pictures_and_on_the_tools_code(project: Path) -> None:
    deps = read_stages(project)["prepare"]["deps"]
    assert deps == [f"{CODE_FOLDER}/prepare.txt", "painted/my_shot", "plates/my_shot"]
    assert f"{CODE_FOLDER}/train.txt" in read_stages(project)["train"]["deps"]


def test_dvc_does_not_report_home_and_keeps_its_index_in_the_project(project: Path) -> None:
    assert "analytics = false" in (project / ".dvc" / "config").read_text()
    assert str(project / ".dvc" / "tmp") in (project / ".dvc" / "config.local").read_text()


def test_existing_pictures_are_kept(tmp_path: Path) -> None:
    (tmp_path / "film" / "plates" / "a").mkdir(parents=True)
    init_project(tmp_path / "film")
    assert not (tmp_path / "film" / "plates" / "my_shot").exists()
    assert (tmp_path / "film" / "plates" / "a").is_dir()


def test_a_folder_within_a_repository_is_committed_to_it(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path / "film")], check=True)
    init_project(tmp_path / "film")
    assert git_state(tmp_path / "film").commit


def test_refusals(project: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder, message in ((project, "already"), (project / "inner", "inside"), (tmp_path / "file", "is a file")):
        with pytest.raises(UsageError, match=message):
            init_project(folder)
