"""The code of registered models: MLflow copies this file into each of them, and runs it when it loads one.

It needs an environment in which stylereel is installed. See "Serving a model over HTTP" in docs/operations.md.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext


class ServedModel(PythonModel):  # type: ignore[misc]  # mlflow is untyped here
    """Stylizes pictures; a row of the input is a picture, all in base64."""

    def load_context(self, context: PythonModelContext) -> None:
        """Loads the model folder, whose checksums are verified; nothing is unpickled."""
        from stylegan_core.recipes.model import load_model

        self._model = load_model(Path(context.artifacts["model"]))

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """The stylized pictures, PNG in base64, as the column ``image``.

        Args:
            model_input: the columns ``image`` and, for models that take one, ``reference``.
            params: ``strength`` and, for models that take them, ``edit`` and ``direction``.

        Raises:
            MlflowException: a picture or a param is wrong; the server answers 400 with the reason.
        """
        from tasks.serving.stylize_picture import PictureError, stylize_picture

        given = {name: value for name, value in (params or {}).items() if value != ""}
        results = []
        for number, row in enumerate(model_input.to_dict("records")):
            pictures = {str(name): _decoded(value) for name, value in row.items()}
            try:
                made = stylize_picture(self._model, pictures["image"], reference=pictures.get("reference"), **given)
            except PictureError as error:
                raise MlflowException.invalid_parameter_value(f"row {number}: {error}") from error
            results.append(base64.b64encode(made).decode("ascii"))
        return pd.DataFrame({"image": results})


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, TypeError) as error:
        raise MlflowException.invalid_parameter_value(f"a picture is not base64: {error}") from error


set_model(ServedModel())
