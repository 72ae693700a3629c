"""The task distill: trains a small model on the outputs of a large one and writes its model folder."""

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

DEFAULT_STEPS = 7000
"""About 3 minutes on two idle cores: a step of the default student takes 43 ms of one core."""
_HELD_OUT_EVERY = 6


@dataclass(frozen=True)
class Distilled:
    """A student, its size and its data.

    Attributes:
        student: with its distance to the teacher.
        parameters: number of the student's weights.
        teacher_parameters: number of the teacher's weights.
        training_pictures: number of pictures it was trained on.
        held_out_pictures: number of pictures it was measured on.
    """

    student: Student
    parameters: int
    teacher_parameters: int
    training_pictures: int
    held_out_pictures: int


def distill_model(
    given: str,
    models: Path,
    pictures: Path,
    output: Path,
    *,
    channels: int = 12,
    blocks: int = 3,
    half_resolution: bool = True,
    steps: int = DEFAULT_STEPS,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Distilled:
    """Trains a student of a model and writes the student's folder.

    Args:
        given: the teacher: a model folder, the name of one in ``models``, or a models:/ URI.
        models: the project's folder of models.
        pictures: folder of training pictures; every sixth is held out to measure on.
        output: the student's folder; it must not hold another model.
        channels: of the student's first layer.
        blocks: its residual blocks.
        half_resolution: whether it works on 2 x 2 px cells.
        steps: of training.
        seed: of weights and crops.
        progress: called with the share of the steps that is done.

    Raises:
        UsageError: there is no such model, it needs references or edits, or a number or folder is wrong.
    """
    try:
        model = load_model(locate_model(given, models))
        check_translates(model)
        if set(model.recipe.conditioned_on) - {"direction"}:
            raise PlanError(f"{model.folder} needs references or edits: distill supports models without them only")
        if (output / MODEL_CARD).exists():
            raise PlanError(f"{output} already holds a model: choose another folder")
        found = read_pictures(pictures, model.card.working_space)
        if len(found) < 2:
            raise PlanError(
                f"{pictures} holds only one picture: distill needs two or more, to train on and to measure on"
            )
        config = student_config(channels, blocks, steps=steps, half_resolution=half_resolution)
    except (PlanError, ModelError, SettingsError, ValueError) as error:
        raise UsageError(str(error)) from error
    held_out = found[::_HELD_OUT_EVERY]
    training = [picture for index, picture in enumerate(found) if index % _HELD_OUT_EVERY]

    def teacher(picture: torch.Tensor) -> torch.Tensor:
        return translate_signed(model.recipe, picture, conditions=Conditions()).clone()

    student = distill(teacher, training, held_out, config, seed=seed, progress=progress)
    weights = student.recipe.networks.state_dict()
    save_model(
        output,
        recipe="keyframe",
        config=config,
        working_space=model.card.working_space,
        sample_type=model.card.sample_type,
        steps=steps,
        images_seen=steps * config.batch_size,
        chosen="last",
        last=weights,
        best=weights,
        networks=weights,
        validation={"last": {"teacher/psnr_db": student.psnr_db, "teacher/swd": student.swd}},
        init_from=model.card.digest,
    )
    sizes = [sum(p.numel() for p in recipe.parameters()) for recipe in (student.recipe, model.recipe)]
    return Distilled(student, sizes[0], sizes[1], len(training), len(held_out))
