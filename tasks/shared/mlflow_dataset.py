"""The prepared data of a training as a dataset in MLflow."""

from __future__ import annotations

import json
from pathlib import Path

from tasks.shared.tracking import best_effort, client

NAME = "prepared"
_DIGEST_DIGITS = 32  # MLflow stores at most 36


@best_effort
def log_dataset(run_id: str, digest: str, folder: Path) -> None:
    """Names the prepared data as an input of a training's run; MLflow keeps an equal input once.

    Args:
        run_id: of the training.
        digest: of the samples that the training and its validation use.
        folder: of the prepared data.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = json.dumps({"uri": folder.resolve().as_uri()})
    dataset = Dataset(NAME, digest[:_DIGEST_DIGITS], source_type="local", source=source)
    client().log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
