"""A registered model is an MLflow model: what it stylizes, what it refuses, and how it is fetched again."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from stylegan_core.frames.colour.context import ColourContext
from stylegan_core.inference.conditioning.conditions import conditions_of, plan_conditioning
from stylegan_core.inference.network.translate import translate_unit
from stylegan_core.recipes import swap
from stylegan_core.recipes.model import Model, load_model, save_model
from stylegan_core.storage.model_folder import MODEL_CARD
from tasks.serving.mlflow_model import save_mlflow_model
from tasks.serving.stylize_picture import PictureError, stylize_picture
from tasks.shared import registry, tracking
from tests.tiny import tiny_sizes

Picture = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def run_id(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The MLflow run of a training, in a project with a SQLite store of its own, which takes seconds to make."""
    with pytest.MonkeyPatch.context() as patch:
        project = tmp_path_factory.mktemp("project")
        patch.chdir(project)
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
            patch.delenv(name, raising=False)
        (project / "params.yaml").write_text("{}\n")
        started = tracking.start_training_run("all", settings={})
        assert started is not None
        yield started


def encoded(rgb: np.ndarray, suffix: str = ".png") -> bytes:
    done, content = cv2.imencode(suffix, rgb[..., ::-1])
    assert done
    return content.tobytes()


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def pixels(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1]


def by_the_network(model: Model, rgb: np.ndarray, strength: float = 1.0) -> np.ndarray:
    unit = rgb.astype(np.float32) / 255
    change = translate_unit(model, unit) - unit
    return np.clip(np.rint((unit + strength * change) * 255), 0, 255)


def test_a_registered_model_is_served_by_mlflow_and_fetched_by_stylereel(
    run_id: str, tmp_path: Path, tiny_model_folder: Path, noise_picture: Picture
) -> None:
    import mlflow
    import pandas as pd

    folder = shutil.copytree(tiny_model_folder, tmp_path / "shot #1 at 50%")
    model = load_model(folder)
    digest = model.card.digest
    assert tracking.register_model(run_id, folder, training="all", digest=digest) == "1"
    name = tracking.registered_name("all")
    stored = next(Path("mlartifacts").glob("**/MLmodel")).parent
    files = {path.relative_to(stored).as_posix() for path in stored.rglob("*") if path.is_file()}
    assert {"MLmodel", "requirements.txt", "served_model.py", "input_example.json"} <= files
    assert not [file for file in files if file.endswith((".pkl", ".pickle", ".pt", ".bin"))]
    requirements = (stored / "requirements.txt").read_text().splitlines()
    assert {line.partition("==")[0] for line in requirements} >= {"stylereel", "torch", "mlflow"}
    assert all("==" in line and "+" not in line for line in requirements)

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(tracking.tracking_uri())
    try:
        served = mlflow.pyfunc.load_model(f"models:/{name}@trained")
    finally:
        mlflow.set_tracking_uri(before)
    assert served.metadata.signature.inputs.input_names() == ["image"]
    assert served.metadata.metadata == {"recipe": "keyframe", "digest": digest}
    assert len(served.predict(served.input_example)) == 1
    pictures = [noise_picture(1), noise_picture(2, 24, 33)]
    for strength in (1.0, 0.5):
        rows = pd.DataFrame({"image": [text(encoded(picture)) for picture in pictures]})
        results = served.predict(rows, params={"strength": strength})["image"]
        for picture, result in zip(pictures, results, strict=True):
            np.testing.assert_array_equal(pixels(base64.b64decode(result)), by_the_network(model, picture, strength))
    for content, reason in (
        ("no base64!", "not base64"),
        (text(b"GIF89a"), "row 0: the picture cannot be read: it is a GIF"),
    ):
        with pytest.raises(mlflow.exceptions.MlflowException, match=reason):
            served.predict(pd.DataFrame({"image": [content]}))

    fetched = registry.fetch_model(f"models:/{name}@trained", tmp_path / "fetched")
    assert fetched == tmp_path / "fetched" / digest[:16]
    assert content_of(fetched) == content_of(tiny_model_folder)


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_version_of_an_earlier_release_is_fetched(run_id: str, tmp_path: Path, tiny_model_folder: Path) -> None:
    store, name = tracking.client(), "stylereel.earlier.all"
    digest = json.loads((tiny_model_folder / MODEL_CARD).read_text())["digest"]
    store.log_artifacts(run_id, str(tiny_model_folder), f"model/{digest[:16]}")
    source = f"{store.get_run(run_id).info.artifact_uri}/model/{digest[:16]}"
    store.create_registered_model(name)
    store.create_model_version(name, source, run_id, tags={tracking.TAG + "digest": digest})
    fetched = registry.fetch_model(f"models:/{name}/1", tmp_path / "fetched")
    assert content_of(fetched) == content_of(tiny_model_folder)


def test_a_model_of_references_takes_one_beside_each_picture(tmp_path: Path, noise_picture: Picture) -> None:
    import mlflow
    import pandas as pd

    model = load_model(swap_model(tmp_path / "swap"))
    save_mlflow_model(model.folder, tmp_path / "saved")
    served = mlflow.pyfunc.load_model(str(tmp_path / "saved"))
    picture = noise_picture(1, 64, 64)
    references = [noise_picture(2, 64, 64), 255 - noise_picture(3, 64, 64)]
    contents = [encoded(reference) for reference in references]
    rows = pd.DataFrame({"image": [text(encoded(picture))] * 2, "reference": [text(content) for content in contents]})
    results = [pixels(base64.b64decode(result)) for result in served.predict(rows)["image"]]
    for content, result in zip(contents, results, strict=True):
        path = tmp_path / "reference.png"
        path.write_bytes(content)
        conditions = conditions_of(model, plan_conditioning(model, style_images=[str(path)]), ColourContext("srgb"))
        after = translate_unit(model, picture.astype(np.float32) / 255, conditions=conditions)
        assert np.abs(result - np.clip(after * 255, 0, 255)).max() <= 0.51
    assert (results[0] != results[1]).any()
    with pytest.raises(mlflow.exceptions.MlflowException, match="reference"):
        served.predict(rows[["image"]])


def swap_model(folder: Path) -> Path:
    """A model with random weights that takes a reference."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = swap.Config(**tiny_sizes(swap.Config))
        networks = swap.Recipe(config).networks.state_dict()
    inference = {k: v for k, v in networks.items() if k.split(".")[0] in swap.Recipe.inference_networks}
    save_model(
        folder,
        recipe="swap",
        config=config,
        working_space="srgb",
        sample_type="uint8",
        steps=1,
        images_seen=1,
        chosen="last",
        last=inference,
        best=inference,
        networks=networks,
    )
    return folder


def test_registering_runs_no_network(tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the network ran")

    monkeypatch.setattr("stylegan_core.recipes.keyframe.Recipe.translate", refused)
    save_mlflow_model(tiny_model_folder, tmp_path / "saved")
    assert (tmp_path / "saved" / "MLmodel").is_file()


@pytest.mark.parametrize(
    ("conditioned_on", "columns", "params"),
    [
        (("styles",), ["image", "reference"], ["strength"]),
        (("labels",), ["image"], ["strength", "edit"]),
        (("direction",), ["image"], ["strength", "direction"]),
    ],
)
def test_the_signature_has_what_the_recipe_takes(
    tmp_path: Path,
    tiny_model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    conditioned_on: tuple[str, ...],
    columns: list[str],
    params: list[str],
) -> None:
    from mlflow.models import Model as SavedModel

    monkeypatch.setattr("stylegan_core.recipes.keyframe.Recipe.conditioned_on", conditioned_on)
    save_mlflow_model(tiny_model_folder, tmp_path / "saved")
    signature = SavedModel.load(str(tmp_path / "saved")).signature
    assert signature.inputs.input_names() == columns
    assert [param.name for param in signature.params.params] == params


def test_other_formats_and_wrong_settings(tiny_model: Model, noise_picture: Picture) -> None:
    picture = noise_picture(3)
    jpeg = encoded(picture, ".jpg")
    np.testing.assert_array_equal(pixels(stylize_picture(tiny_model, jpeg, strength=0.0)), pixels(jpeg))
    content = encoded(picture)
    for wrong, reason in (
        ({"strength": 3.0}, "strength"),
        ({"direction": "backward"}, "takes no direction"),
        ({"reference": content}, "takes no style images"),
        ({"reference": b"text"}, "the reference cannot be read"),
    ):
        with pytest.raises(PictureError, match=reason):
            stylize_picture(tiny_model, content, **wrong)
    with pytest.raises(PictureError, match=r"damaged|truncated"):
        stylize_picture(tiny_model, content[:-200])
