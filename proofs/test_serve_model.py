"""A registered model behind ``mlflow models serve`` on loopback: pictures go in and come out over HTTP."""

from __future__ import annotations

import base64
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from proofs.local_server import free_port, running, wait_for
from stylegan_core.inference.network.translate import translate_unit
from stylegan_core.recipes.model import load_model
from tasks.shared import tracking

REPOSITORY = Path(__file__).parents[1]
MLFLOW = str(Path(sys.executable).parent / "mlflow")
STARTS_WITHIN_S = 480


@pytest.mark.timeout(900)
def test_a_served_model_answers_with_a_stylized_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model_folder: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "params.yaml").write_text("{}\n")
    model = load_model(tiny_model_folder)
    run_id = tracking.start_training_run("all", settings={})
    assert tracking.register_model(run_id, tiny_model_folder, training="all", digest=model.card.digest) == "1"

    port, log = free_port(), tmp_path / "serve.log"
    uri = f"models:/{tracking.registered_name('all')}@trained"
    serve = [MLFLOW, "models", "serve", "-m", uri, "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": str(REPOSITORY),
        "MLFLOW_TRACKING_URI": tracking.tracking_uri(),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    plate = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    done, content = cv2.imencode(".png", plate[..., ::-1])
    assert done
    picture = base64.b64encode(content.tobytes()).decode()
    address = f"http://127.0.0.1:{port}"
    with running(serve, tmp_path, environment, log):
        wait_for("the server is up", lambda: _is_up(f"{address}/ping"), STARTS_WITHIN_S, log)
        for strength in (1.0, 0.5):
            status, answer = _post(address, {"image": [picture]}, strength)
            assert status == 200, answer
            (row,) = answer["predictions"]
            result = cv2.imdecode(np.frombuffer(base64.b64decode(row["image"]), np.uint8), cv2.IMREAD_UNCHANGED)
            unit = plate.astype(np.float32) / 255
            expected = unit + strength * (translate_unit(model, unit) - unit)
            assert np.abs(result[..., ::-1] - np.clip(expected * 255, 0, 255)).max() <= 0.51
        status, answer = _post(address, {"image": [base64.b64encode(b"GIF89a").decode()]}, 1.0)
        assert status == 400
        assert "row 0: the picture cannot be read: it is a GIF" in json.dumps(answer)
        status, answer = _post(address, {"picture": [picture]}, 1.0)
        assert status == 400
    assert not _is_up(f"{address}/ping"), "the server is gone"


def _is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _post(address: str, columns: dict[str, list[str]], strength: float) -> tuple[int, Any]:
    body = {
        "dataframe_split": {
            "columns": list(columns),
            "data": [list(row) for row in zip(*columns.values(), strict=True)],
        },
        "params": {"strength": strength},
    }
    request = urllib.request.Request(
        f"{address}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
