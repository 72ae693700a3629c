"""The task export: a trained model as an ONNX file with a card beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from stylegan_core.inference.export import Exported, ExportError, export_onnx
from stylegan_core.inference.job import PlanError
from stylegan_core.recipes.model import ModelError, load_model
from tasks.errors import UsageError
from tasks.stylize import locate_model


def export_model(
    given: str, models: Path, output: Path, *, direction: Literal["forward", "backward"] = "forward"
) -> Exported:
    """Exports the model that ``given`` names.

    Args:
        given: a model folder, the name of one in ``models``, or a models:/ URI.
        models: the project's folder of models.
        output: ends in .onnx.
        direction: for models that go both ways.

    Raises:
        UsageError: there is no such model, or it cannot be exported; nothing was written.
    """
    try:
        return export_onnx(load_model(locate_model(given, models)), output, direction=direction)
    except (PlanError, ModelError, ExportError) as error:
        raise UsageError(str(error)) from error
