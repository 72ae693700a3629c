"""Saves a model folder as an MLflow model: code, signature, input example and requirements around the folder itself."""

from __future__ import annotations

import base64
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

_CODE = Path(__file__).with_name("served_model.py")

_PACKAGES = (
    *("stylereel", "mlflow", "torch", "numpy", "pandas", "safetensors"),
    *("openimageio", "imagecodecs", "simplejpeg", "opencv-contrib-python-headless", "opencolorio"),
)
"""What decides the pixels of a served picture; stylereel requires the rest."""

_ARTIFACT = "model"
"""Name of the model folder among the artifacts of the MLflow model, as ``served_model`` reads it."""

_EXAMPLE_PX = 64


def save_mlflow_model(folder: Path, target: Path) -> None:
    """Saves a model folder as an MLflow model with the flavour python_function; neither run nor tracking URI is used.

    The code is that of ``served_model.py``, by MLflow's "models from code": nothing is pickled, and the network is
    not run.

    Args:
        folder: a model folder.
        target: must not exist.

    Raises:
        ModelError: ``folder`` is no model folder, or its card is damaged.
        OSError: the files cannot be copied.
    """
    from mlflow.pyfunc import save_model

    from stylegan_core.recipes import recipe_class
    from stylegan_core.recipes.model import read_card

    card = read_card(folder)
    accepts = recipe_class(card.recipe).conditioned_on
    with tempfile.TemporaryDirectory(prefix="stylereel-model-") as place:
        copy = shutil.copytree(folder, Path(place) / _ARTIFACT)  # MLflow cannot read names with # or %, or links
        save_model(
            target,
            python_model=_CODE,
            artifacts={_ARTIFACT: str(copy)},
            signature=_signature(accepts),
            input_example=_example(accepts),
            pip_requirements=_requirements(),
            metadata={"recipe": card.recipe, "digest": card.digest},
        )


def model_folder_in(saved: Path) -> Path:
    """The model folder inside an MLflow model; ``saved`` itself if 0.2.0 or an earlier version registered it."""
    inside = saved / "artifacts" / _ARTIFACT
    return inside if inside.is_dir() else saved


def _requirements() -> list[str]:
    """The installed versions, without the suffix of a build such as +cpu, which indexes do not have."""
    pinned = []
    for name in _PACKAGES:
        try:
            pinned.append(f"{name}=={version(name).partition('+')[0]}")
        except PackageNotFoundError:  # such as OpenCV from another wheel
            continue
    return pinned


def _columns(accepts: tuple[str, ...]) -> list[str]:
    return ["image", *(["reference"] if "styles" in accepts else [])]


def _signature(accepts: tuple[str, ...]) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    params = [ParamSpec("strength", DataType.double, 1.0)]
    if "labels" in accepts:
        params.append(ParamSpec("edit", DataType.string, ""))
    if "direction" in accepts:
        params.append(ParamSpec("direction", DataType.string, "forward"))
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.string, name) for name in _columns(accepts)]),
        outputs=Schema([ColSpec(DataType.string, "image")]),
        params=ParamSchema(params),
    )


def _example(accepts: tuple[str, ...]) -> pd.DataFrame:
    """One row: a small colour ramp, PNG in base64."""
    import imagecodecs
    import pandas as pd

    row, column = np.mgrid[0:_EXAMPLE_PX, 0:_EXAMPLE_PX] * 255 // (_EXAMPLE_PX - 1)
    picture = np.stack([row, column, 255 - row], axis=2).astype(np.uint8)
    text = base64.b64encode(imagecodecs.png_encode(picture)).decode("ascii")
    return pd.DataFrame({name: [text] for name in _columns(accepts)})
