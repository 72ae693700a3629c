"""The task distill: a small model from a large one's answers, which stylize and export take as any other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from stylegan_core.inference.export.sample_pictures import read_pictures
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.network.translate import translate_signed
from stylegan_core.inference.planning.find_model import check_translates
from stylegan_core.recipes.base import Conditions
from stylegan_core.recipes.model import ModelError, load_model, save_model
from stylegan_core.settings import SettingsError
from stylegan_core.storage.model_folder import MODEL_CARD
from stylegan_core.training.distillation import Student, distill, student_config
from tasks.shared.errors import UsageError
from tasks.shared.locate_model import locate_model

_HELD_OUT_EVERY = 6


@dataclass(frozen=True)
class Distilled:
    """A student and its size.

    Attributes:
        student: how near it came.
        parameters: it has.
        teacher_parameters: that its teacher has.
        learned: pictures it learned from.
        judged: pictures it was judged by.
    """

    student: Student
    parameters: int
    teacher_parameters: int
    learned: int
    judged: int


def distill_model(
    given: str,
    models: Path,
    pictures: Path,
    output: Path,
    *,
    channels: int = 12,
    blocks: int = 3,
    half_resolution: bool = True,
    minutes: float = 5.0,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Distilled:
    """Trains a student of the model that ``given`` names and writes its folder.

    Args:
        given: a model folder, the name of one in ``models``, or a models:/ URI.
        models: the project's folder of models.
        pictures: folder to learn from; every sixth is held out to judge by.
        output: the student's folder, which holds no other model.
        channels: of its first layer.
        blocks: of its body.
        half_resolution: whether it works on 2 x 2 px cells.
        minutes: of training.
        seed: of weights and crops.
        progress: called with the share that is done.

    Raises:
        UsageError: there is no such model, it is directed by references or edits, or the folders are wrong.
    """
    try:
        model = load_model(locate_model(given, models))
        check_translates(model)
        if set(model.recipe.conditioned_on) - {"direction"}:
            raise PlanError(f"{model.folder} goes by references or edits, which a student does not take")
        if (output / MODEL_CARD).exists():
            raise PlanError(f"{output} holds a model: choose another folder")
        found = read_pictures(pictures, model.card.working_space)
        if len(found) < 2:
            raise PlanError(f"{pictures} holds one picture: a student is judged by another than it learns from")
        config = student_config(channels, blocks, half_resolution=half_resolution)
    except (PlanError, ModelError, SettingsError, ValueError) as error:
        raise UsageError(str(error)) from error
    held_out = found[::_HELD_OUT_EVERY]
    learned = [picture for index, picture in enumerate(found) if index % _HELD_OUT_EVERY]

    def teacher(picture: torch.Tensor) -> torch.Tensor:
        return translate_signed(model.recipe, picture, conditions=Conditions()).clone()

    student = distill(teacher, learned, held_out, config, minutes=minutes, seed=seed, progress=progress)
    weights = student.recipe.networks.state_dict()
    save_model(
        output,
        recipe="keyframe",
        config=config,
        working_space=model.card.working_space,
        sample_type=model.card.sample_type,
        steps=student.steps,
        images_seen=student.steps * config.batch_size,
        chosen="last",
        last=weights,
        best=weights,
        networks=weights,
        validation={"last": {"teacher/psnr_db": student.psnr_db, "teacher/swd": student.swd}},
        init_from=model.card.digest,
    )
    sizes = [sum(p.numel() for p in recipe.parameters()) for recipe in (student.recipe, model.recipe)]
    return Distilled(student, sizes[0], sizes[1], len(learned), len(held_out))
