"""The model that a folder of an inbox names."""

from __future__ import annotations

from pathlib import Path

from stylegan_core.inference.job.spec import PlanError
from stylegan_core.storage.model_folder import MODEL_CARD
from tasks.shared.errors import UsageError
from tasks.shared.locate_model import locate_model
from tasks.shared.registry import PROMOTED, promoted_models

LAST = "last"


def choose_model(name: str, models: Path) -> Path:
    """The folder of the model that ``name`` means.

    Args:
        name: "last", "promoted", a model in ``models``, or the last part of a registered model's name, of which the
            promoted version is meant; NAME@promoted means that one even if NAME is in ``models`` too.
        models: the project's folder of models.

    Raises:
        UsageError: it names no model; the message is the end of a sentence that begins with the name.
    """
    if (models / name / MODEL_CARD).is_file():
        return models / name
    try:
        if name == LAST:
            return locate_model(None, models)
        promoted = promoted_models()
        uri = _promoted(name, promoted)
        if uri is not None:
            return locate_model(uri, models)
    except (PlanError, UsageError) as error:
        raise UsageError(f"cannot be matched with a model: {error}") from error
    trained = sorted(card.parent.name for card in models.glob(f"*/{MODEL_CARD}"))
    known = [LAST, *trained, *([PROMOTED] if promoted else []), *(key for key in promoted if key not in trained)]
    raise UsageError(f"names no model: rename it to one of {', '.join(known)}")


def _promoted(name: str, promoted: dict[str, str]) -> str | None:
    """The URI of the promoted model that ``name`` means; None: it means none.

    Raises:
        UsageError: "promoted" where several are.
    """
    if name != PROMOTED:
        return promoted.get(name.removesuffix(f"@{PROMOTED}"))
    if len(promoted) > 1:
        raise UsageError(f"several are promoted, so rename the folder to one of {', '.join(promoted)}")
    return next(iter(promoted.values()), None)
