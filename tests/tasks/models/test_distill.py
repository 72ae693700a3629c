"""A student is a model as any other."""

import cv2
import numpy as np
import pytest
import torch

from stylegan_core.inference.network.translate import translate_unit
from stylegan_core.recipes.model import load_model
from tasks.models.distill import distill_model
from tasks.shared.errors import UsageError


@pytest.fixture
def folder(tmp_path, noise_picture):
    (tmp_path / "pictures").mkdir()
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"pictures/{number}.png"), noise_picture(number, 48, 64))
    return tmp_path / "pictures"


def test_a_student_loads_and_names_its_teacher(tiny_model_folder, folder, tmp_path):
    made = distill_model(str(tiny_model_folder), tmp_path, folder, tmp_path / "small", channels=4, blocks=1, steps=20)
    assert (made.training_pictures, made.held_out_pictures) == (2, 1)
    assert made.parameters > 0
    student, teacher = load_model(tmp_path / "small"), load_model(tiny_model_folder)
    assert student.card.init_from == teacher.card.digest
    assert student.card.steps == 20
    picture = cv2.imread(str(folder / "0.png")).astype(np.float32)[..., ::-1] / 255
    apart = translate_unit(student, picture) - translate_unit(teacher, picture)
    assert -10 * np.log10(np.square(apart).mean()) == pytest.approx(made.student.psnr_db, abs=0.5)
    assert torch.equal(next(made.student.recipe.parameters()).detach(), next(student.recipe.parameters()).detach())


def test_what_is_no_teacher_or_no_lesson_is_named(tiny_model_folder, folder, tmp_path):
    with pytest.raises(UsageError, match="already holds a model"):
        distill_model(str(tiny_model_folder), tmp_path, folder, tiny_model_folder)
    for extra in ("1.png", "2.png"):
        (folder / extra).unlink()
    with pytest.raises(UsageError, match="only one picture"):
        distill_model(str(tiny_model_folder), tmp_path, folder, tmp_path / "small")
    with pytest.raises(UsageError, match="nowhere"):
        distill_model(str(tiny_model_folder), tmp_path, tmp_path / "nowhere", tmp_path / "small")
