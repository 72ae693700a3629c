"""`stylereel init`: a project of the user's own, and what keeps its dvc.yaml true."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import torch
from ruamel.yaml import YAML

from stylegan_core.config import load_params, parse_params
from stylegan_core.recipes import config_class
from stylegan_core.recipes.model import save_model
from tasks.project.init_project import init_project
from tasks.project.inputs import input_paths
from tasks.project.params_file import render_params
from tasks.project.sync import CODE_FOLDER, is_project_apart, kept_by_sync, stale_code, sync
from tasks.shared.errors import UsageError
from tasks.shared.versioning import STAGES, git_state

REPOSITORY = Path(__file__).parents[3]


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


def _clone(folder: Path, settings: dict[str, str]) -> Path:
    """The tool's own dvc.yaml, with other settings."""
    folder.mkdir()
    (folder / "dvc.yaml").write_bytes((REPOSITORY / "dvc.yaml").read_bytes())
    (folder / "params.yaml").write_text(render_params(settings, shots="shots: []\n"))
    return folder


def test_the_tools_own_clone_is_left_alone(tmp_path: Path) -> None:
    assert load_params(REPOSITORY / "params.yaml").prepare.source == "sample"
    clone = _clone(tmp_path / "clone", {})
    assert sync(clone) == []
    assert (clone / "dvc.yaml").read_bytes() == (REPOSITORY / "dvc.yaml").read_bytes()
    assert stale_code(REPOSITORY) == []


def test_pictures_are_dependencies_in_the_tools_clone_too(tmp_path: Path) -> None:
    clone = _clone(tmp_path / "clone", {"prepare.source": "folders", "prepare.content": "a", "prepare.style": "b"})
    before = _stages(clone)
    assert sync(clone) == ["dvc.yaml"]
    after = _stages(clone)
    assert after["prepare"].pop("deps") == [*before["prepare"].pop("deps"), "a", "b"]
    assert after == before
    assert not (clone / CODE_FOLDER).exists()
    (clone / "params.yaml").write_text(render_params({}, shots="shots: []\n"))
    assert sync(clone) == ["dvc.yaml"]
    assert (clone / "dvc.yaml").read_bytes() == (REPOSITORY / "dvc.yaml").read_bytes()


def test_the_input_of_stylize_is_a_dependency(project: Path) -> None:
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(re.sub(r"\n  input: null", "\n  input: trailer/shot.####.png", text))
    assert sync(project) == ["dvc.yaml"]
    assert _stages(project)["stylize"]["deps"][-2:] == ["reports/train", "trailer"]


def test_what_directs_stylize_is_a_dependency(project: Path) -> None:
    text = (project / "params.yaml").read_text()
    text = text.replace("  style_images: []", '  style_images: ["refs/a.png:0.3", refs/b.png]')
    text = text.replace("  edit: null", "  edit: smiling")
    text = re.sub(
        r"\n  regions: \[\]",
        "\n  regions: [{where: masks/sky, picture: sky.exr}, {labels: labels, value: 3, model: old/sea}]",
        text,
    )
    (project / "params.yaml").write_text(text)
    (project / "old/sea").mkdir(parents=True)
    (project / "vocabulary.yaml").write_text("{}")
    assert sync(project) == ["dvc.yaml"]
    named = ["labels", "masks/sky", "old/sea", "refs/a.png", "refs/b.png", "sky.exr", "vocabulary.yaml"]
    assert _stages(project)["stylize"]["deps"][-8:] == ["reports/train", *named]


def test_recipes_of_single_shots_are_parameters(project: Path) -> None:
    assert _stages(project)["train"]["params"][-1] == "train.${train.recipe}"
    text = (project / "params.yaml").read_text()
    shot = "  - {name: b, plates: plates/b, painted: painted/b, train: {recipe: cut}}\n"
    (project / "params.yaml").write_text(text.replace("shots:\n", f"shots:\n{shot}", 1))
    assert sync(project) == ["dvc.yaml"]
    assert _stages(project)["train"]["params"][-2:] == ["train.${train.recipe}", "train.cut"]


def test_a_start_from_a_model_that_dvc_removes_is_refused_before(project: Path) -> None:
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("init_from: null", "init_from: ./models/my_shot", 1))
    with pytest.raises(UsageError, match="name the model by its digest, which"):
        sync(project)
    card = save_model(
        project / "models/my_shot",
        recipe="cut",
        config=config_class("cut")(),
        working_space="srgb",
        sample_type="uint8",
        steps=1,
        images_seen=1,
        chosen="last",
        last={"generator.w": torch.zeros(1)},
        best={"generator.w": torch.zeros(1)},
        networks={},
        validation={},
    )
    with pytest.raises(UsageError, match=f"its digest, {card.digest[:12]}"):
        sync(project)
    (project / "params.yaml").write_text(text.replace("init_from: null", f"init_from: {card.digest[:12]}", 1))
    sync(project)


def test_what_sync_writes_is_told_from_edits(project: Path) -> None:
    text = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(text.replace("plates/my_shot", "plates/other"))
    assert kept_by_sync(project, "dvc.yaml")
    (project / "dvc.yaml").write_text(text.replace("outs: [models]", "outs: [networks]"))
    assert not kept_by_sync(project, "dvc.yaml")
    assert kept_by_sync(project, f"{CODE_FOLDER}/train.txt")
    assert not kept_by_sync(project, f"{CODE_FOLDER}/notes.txt")
    assert not kept_by_sync(project, "params.yaml")


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
