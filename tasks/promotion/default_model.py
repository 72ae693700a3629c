"""The model of work on demand: the promoted one, also while a training has emptied models/."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from stylegan_core.config import load_params
from stylegan_core.inference.planning.find_model import find_model
from tasks.promotion.promote import refresh_copy
from tasks.scheduled.run_checkout import models_folder
from tasks.shared import tracking
from tasks.shared.promoted_copy import copy_folder, promoted_trainings

log = logging.getLogger(__name__)


def default_model(root: Path) -> Path:
    """The folder of the model that was promoted last; of the last trained one, if none ever was.

    Without a server, the project's own copy is exact, and MLflow is not imported. With ``MLFLOW_TRACKING_URI``, another
    clone may have promoted a model, so the registry is asked first; if it cannot be reached, the copy is used.
    """
    shared = bool(os.environ.get("MLFLOW_TRACKING_URI"))
    if tracking.store_exists() and (shared or not promoted_trainings(root)):
        for training in load_params(root / "params.yaml").trainings():
            refresh_copy(root, training.name)
    promoted = promoted_trainings(root)
    if not promoted:
        log.warning("no model was promoted yet: using the last trained one (`stylereel promote` promotes it)")
        return find_model(None, models_folder(root))
    name, model = next(iter(promoted.items()))
    others = f", the last promoted of {len(promoted)}" if len(promoted) > 1 else ""
    log.info("the model is the promoted one of %s, %s%s", name, model.digest[:16], others)
    return copy_folder(root, name, model.digest)
