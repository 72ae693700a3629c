import shutil
from pathlib import Path

import pytest

import stylegan_core
from stylegan_core.training.persistence.code_closure import code_closure, code_closure_digest

ROOT = Path(stylegan_core.__file__).parent.parent


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(ROOT / "stylegan_core", tmp_path / "stylegan_core", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def edit(root, module):
    path = root / "stylegan_core" / module
    assert path.exists()
    path.write_text(path.read_text() + "\n# edited\n")


def test_what_training_imports_is_found_at_any_depth():
    found = code_closure(["stylegan_core.training.trainer", "stylegan_core.recipes.keyframe"], ROOT)
    for name in ("training.step", "training.ema", "data.batch", "networks.resnet", "losses.adversarial", "config"):
        assert f"stylegan_core.{name}" in found, name
    assert not any(name.startswith(("stylegan_core.inference", "stylegan_core.report")) for name in found)


@pytest.mark.parametrize("module", ["training/step.py", "networks/resnet.py", "data/crops.py", "metrics/swd.py"])
def test_an_edit_of_what_is_used_changes_the_digest(copy, module):
    before = code_closure_digest("keyframe", copy)
    edit(copy, module)
    assert code_closure_digest("keyframe", copy) != before


@pytest.mark.parametrize(
    "module", ["recipes/cut.py", "inference/network/translate.py", "data/sample/painter.py", "report/panels.py"]
)
def test_an_edit_of_anything_else_does_not(copy, module):
    before = code_closure_digest("keyframe", copy)
    edit(copy, module)
    assert code_closure_digest("keyframe", copy) == before


def test_the_installed_package_is_the_default():
    assert code_closure_digest("cut") == code_closure_digest("cut", ROOT)
    assert code_closure_digest("cut") != code_closure_digest("keyframe")
