"""The task export: a trained model as ONNX or OpenVINO file for other programs, with a card."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from stylegan_core.inference.export.export import LEAST_PSNR_DB, Exported, Form, export_onnx
from stylegan_core.inference.export.formats import ExportPrecision
from stylegan_core.inference.export.onnx_graph import ExportError
from stylegan_core.inference.export.sample_pictures import read_pictures
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.recipes.model import ModelError, load_model
from stylegan_core.settings import SettingsError
from tasks.shared.errors import UsageError
from tasks.shared.locate_model import locate_model


def export_model(
    given: str,
    models: Path,
    output: Path,
    *,
    direction: Literal["forward", "backward"] = "forward",
    precision: ExportPrecision = "fp32",
    calibrate: Path | None = None,
    test: Path | None = None,
    accept_loss_db: float = LEAST_PSNR_DB,
) -> Exported:
    """Exports the model that ``given`` names.

    Args:
        given: a model folder, the name of one in ``models``, or a models:/ URI.
        models: the project's folder of models.
        output: ends in .onnx or .xml.
        direction: for models that translate both ways.
        precision: of the export.
        calibrate: folder of pictures to calibrate int8 with; without ``test``, every second one is held out to test.
        test: folder of pictures to test with, in addition to the built-in photographs.
        accept_loss_db: see ``Form``.

    Raises:
        UsageError: there is no such model, or it cannot be exported; nothing was written.
    """
    try:
        model = load_model(locate_model(given, models))
        space = model.card.working_space
        fitted = read_pictures(calibrate, space) if calibrate else []
        tested = read_pictures(test, space) if test else fitted[1::2]
        if precision == "int8" and fitted and not tested:
            raise PlanError(f"{calibrate} holds one picture: int8 needs at least one more to be tested with")
        wanted = Form(precision, fitted if test else fitted[::2], tested, accept_loss_db)
        return export_onnx(model, output, direction=direction, wanted=wanted)
    except (PlanError, ModelError, ExportError, SettingsError) as error:
        raise UsageError(str(error)) from error
