"""`stylereel sync`: dvc.yaml and code digests follow params.yaml and the tool."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from dvc.repo import Repo

from stylegan_core.config import load_params
from stylegan_core.recipes import config_class
from stylegan_core.recipes.model import save_model
from tasks.project.params_file import render_params
from tasks.project.sync import CODE_FOLDER, stale_code, sync
from tasks.shared.errors import UsageError
from tests.tasks.project.project_files import read_stages

REPOSITORY = Path(__file__).parents[3]


def _clone(folder: Path, settings: dict[str, str]) -> Path:
    """The tool's own dvc.yaml, with other settings."""
    folder.mkdir()
    (folder / "dvc.yaml").write_bytes((REPOSITORY / "dvc.yaml").read_bytes())
    (folder / "params.yaml").write_text(render_params(settings, shots="shots: []\n"))
    return folder


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
    deps = read_stages(project)["prepare"]["deps"][1:]
    assert deps == [f"{tmp_path}/mount/b", "painted/b", "painted/my_shot", "plates/my_shot"]


def test_the_tools_own_clone_has_no_code_digests(tmp_path: Path) -> None:
    assert load_params(REPOSITORY / "params.yaml").prepare.source == "sample"
    clone = _clone(tmp_path / "clone", {})
    assert sync(clone) == []
    assert (clone / "dvc.yaml").read_bytes() == (REPOSITORY / "dvc.yaml").read_bytes()
    assert stale_code(REPOSITORY) == []


def test_pictures_are_dependencies_in_the_tools_clone_too(tmp_path: Path) -> None:
    clone = _clone(tmp_path / "clone", {"prepare.source": "folders", "prepare.content": "a", "prepare.style": "b"})
    before = read_stages(clone)
    assert sync(clone) == ["dvc.yaml"]
    after = read_stages(clone)
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
    assert read_stages(project)["stylize"]["deps"][-2:] == ["reports/train", "trailer"]


def test_the_conditioning_of_stylize_is_a_dependency(project: Path) -> None:
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
    assert read_stages(project)["stylize"]["deps"][-8:] == ["reports/train", *named]


def test_recipes_of_single_shots_are_parameters(project: Path) -> None:
    assert read_stages(project)["train"]["params"][-1] == "train.${train.recipe}"
    text = (project / "params.yaml").read_text()
    shot = "  - {name: b, plates: plates/b, painted: painted/b, train: {recipe: cut}}\n"
    (project / "params.yaml").write_text(text.replace("shots:\n", f"shots:\n{shot}", 1))
    assert sync(project) == ["dvc.yaml"]
    assert read_stages(project)["train"]["params"][-2:] == ["train.${train.recipe}", "train.cut"]


def test_models_are_artifacts(project: Path) -> None:
    """DVC itself reads them: names, paths and type."""
    shot = "  - {name: sh010, plates: plates/b, painted: painted/b}\n"
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("shots:\n", f"shots:\n{shot}", 1))
    assert sync(project) == ["dvc.yaml"]
    with Repo(str(project)) as repo:
        (found,) = repo.artifacts.read().values()
    assert {name: (one.path, one.type) for name, one in found.items()} == {
        "my_shot": ("models/my_shot", "model"),
        "sh010": ("models/sh010", "model"),
    }


def test_an_initial_model_in_models_is_refused(project: Path) -> None:
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
