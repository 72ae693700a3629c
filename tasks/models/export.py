"""The task export: a trained model for other programs, ONNX or OpenVINO, with its card."""

from __future__ import annotations

from pathlib import Path

from stylegan_core.choices import Direction
from stylegan_core.inference.export.export import LEAST_PSNR_DB, Exported, ExportOptions, export_onnx
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
    direction: Direction = "forward",
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
        direction: for recipes with both directions.
        precision: of the export.
        calibrate: folder of pictures for the quantization to int8; without ``test`` every second one is used to test.
        test: folder of pictures to test with, in addition to the built-in photographs.
        accept_loss_db: see ``ExportOptions``.

    Raises:
        UsageError: there is no such model, or it cannot be exported; nothing was written.
    """
    try:
        model = load_model(locate_model(given, models))
        space = model.card.working_space
        fitted = read_pictures(calibrate, space) if calibrate else []
        tested = read_pictures(test, space) if test else fitted[1::2]
        if precision == "int8" and fitted and not tested:
            raise PlanError(f"{calibrate} holds only one picture: int8 needs two or more, to calibrate and to test")
        options = ExportOptions(precision, fitted if test else fitted[::2], tested, accept_loss_db)
        return export_onnx(model, output, direction=direction, options=options)
    except (PlanError, ModelError, ExportError, SettingsError) as error:
        raise UsageError(str(error)) from error
