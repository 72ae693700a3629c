"""`stylereel init`: a project of the user's own, and what keeps its dvc.yaml true."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stylegan_core.config import load_params, parse_params
from tasks.errors import UsageError
from tasks.project import CODE_FOLDER, init_project, input_paths, is_project_apart, stale_code, sync
from tasks.versioning import STAGES, git_state


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "empty-home"))
    return init_project(tmp_path / "harbour")


def _stages(project: Path) -> dict[str, dict[str, list[str]]]:
    return YAML(typ="safe").load(project / "dvc.yaml")["stages"]  # type: ignore[no-any-return]


def test_a_new_project_is_whole_and_committed(project: Path) -> None:
    assert (project / "plates" / "my_shot").is_dir()
    assert (project / "painted" / "my_shot").is_dir()
    assert load_params(project / "params.yaml").prepare.source == "shots"
    assert tuple(_stages(project)) == STAGES
    state = git_state(project)
    assert state.commit
    assert not state.dirty
    assert is_project_apart(project)
    assert stale_code(project) == []


def test_stages_depend_on_the_pictures_and_on_the_tools_code(project: Path) -> None:
    deps = _stages(project)["prepare"]["deps"]
    assert deps == [f"{CODE_FOLDER}/prepare.txt", "painted/my_shot", "plates/my_shot"]
    assert f"{CODE_FOLDER}/train.txt" in _stages(project)["train"]["deps"]


def test_dvc_does_not_report_home_and_keeps_its_index_in_the_project(project: Path) -> None:
    assert "analytics = false" in (project / ".dvc" / "config").read_text()
    assert str(project / ".dvc" / "tmp") in (project / ".dvc" / "config.local").read_text()


def test_another_version_of_the_tool_is_noticed(project: Path) -> None:
    (project / CODE_FOLDER / "train.txt").write_text("of an earlier version\n")
    assert stale_code(project) == ["train"]
    assert sync(project) == [f"{CODE_FOLDER}/train.txt"]
    assert stale_code(project) == []
    assert sync(project) == []


def test_new_shots_become_dependencies(project: Path, tmp_path: Path) -> None:
    text = (project / "params.yaml").read_text()
    shot = f"  - {{name: b, plates: {tmp_path}/mount/b/b.####.exr, painted: painted/b, masks: painted/b/masks}}\n"
    (project / "params.yaml").write_text(text.replace("shots:\n", f"shots:\n{shot}", 1))
    assert sync(project) == ["dvc.yaml"]
    deps = _stages(project)["prepare"]["deps"][1:]
    assert deps == [f"{tmp_path}/mount/b", "painted/b", "painted/my_shot", "plates/my_shot"]


def test_inputs_of_folders(tmp_path: Path) -> None:
    params = parse_params({"prepare": {"source": "folders", "content": "photos", "style": "/mnt/monet"}})
    assert input_paths(params, tmp_path) == ["/mnt/monet", "photos"]


def test_the_tools_own_clone_is_left_alone() -> None:
    repository = Path(__file__).parents[2]
    assert sync(repository) == []
    assert stale_code(repository) == []


def test_pictures_that_are_there_already_are_kept(tmp_path: Path) -> None:
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
