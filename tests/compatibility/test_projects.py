"""params.yaml and projects under DVC of version 0.1.0 stay usable."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tasks.shared.project_identity import PROJECT_FILE, read_identity
from tests.compatibility.made_by_0_1_0 import FIXTURES, Call, assert_same_answer

RECIPES = sorted(YAML(typ="safe").load(FIXTURES / "project" / "params.yaml")["train"].keys() - {"recipe", "common"})


@pytest.mark.parametrize("recipe", RECIPES)
def test_params_of_every_recipe_are_read(recipe: str, project: Path, stylereel: Call) -> None:
    from stylegan_core.config import load_params

    params = project / "params.yaml"
    params.write_text(params.read_text().replace("  recipe: keyframe", f"  recipe: {recipe}"))
    settings = load_params(params).train()
    assert settings.recipe == recipe
    params.write_text(re.sub(rf"(?m)^  {recipe}:$", f"  {recipe}:\n    unheard_of: 1", params.read_text()))
    with pytest.raises(ValueError, match="unheard_of"):
        load_params(params)


def _stages_with_other_code() -> set[str]:
    """Of the digests that differ from the commit, where no other file does but project.yaml, which is new."""
    changed = subprocess.run(["git", "status", "--porcelain"], check=True, capture_output=True, text=True).stdout
    *lines, added = changed.splitlines()
    assert added == f"?? {PROJECT_FILE}", changed
    digests = [re.fullmatch(r" M \.stylereel-code/(\w+)\.txt", line) for line in lines]
    assert all(digests), changed
    return {found[1] for found in digests if found}


def test_sync_changes_the_code_digests_and_names_the_project(project: Path, stylereel: Call) -> None:
    before = (project / "dvc.yaml").read_bytes()
    assert stylereel("sync")[0] == 0
    assert "stylize" in _stages_with_other_code()
    assert read_identity(project).name == project.name
    assert (project / "dvc.yaml").read_bytes() == before
    (project / "plates" / "next").mkdir()
    params = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(params.replace("plates: plates/my_shot", "plates: plates/next"))
    assert stylereel("sync")[0] == 0
    assert (project / "dvc.yaml").read_bytes() == before.replace(b"plates/my_shot", b"plates/next")


def test_dvc_finds_only_the_code_changed(project: Path, stylereel: Call) -> None:
    cached = {
        "prepare": {"changed outs": {"data/prepared": "not in cache"}},
        "train": {"changed outs": {"models": "not in cache", "reports/train": "not in cache"}},
    }  # the very ones of dvc.lock, without a copy in .dvc/cache

    def status() -> dict[str, dict[str, Any]]:
        command = [sys.executable, "-m", "dvc", "status", "--json", "prepare", "train"]
        answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return {stage: {key: found[key] for found in changes for key in found} for stage, changes in answer.items()}

    assert status() == cached
    assert stylereel("sync")[0] == 0
    for stage in _stages_with_other_code() & set(cached):
        cached[stage]["changed deps"] = {f".stylereel-code/{stage}.txt": "modified"}
    assert status() == cached


def test_a_project_answers_as_before(project: Path, stylereel: Call) -> None:
    answer = json.loads((FIXTURES / "whence" / "harbour.json").read_text())
    (model,), (commit,) = answer["models"], answer["commits"]
    code, printed, _ = stylereel("whence", answer["asked"], "--json")
    assert code == 0
    assert_same_answer(json.loads(printed), answer)
    for asked in (commit[:10], model[:10], "models/my_shot"):
        code, printed, _ = stylereel("whence", asked, "--json")
        assert code == 0
        found = json.loads(printed)
        assert (list(found["models"]), found["commits"], len(found["frames"])) == ([model], [commit], 3)
    shutil.rmtree(project.parent / "cache")  # of a lineage file alone
    code, printed, _ = stylereel("whence", commit[:10], "--json")
    assert code == 0
    assert (list(json.loads(printed)["models"]), json.loads(printed)["frames"]) == ([model], [])
    code, printed, _ = stylereel("report")
    assert code == 0
    assert f"{json.loads(Path('reports/metrics.json').read_text())['content/psnr_db']:.2f}"[:4] in printed
