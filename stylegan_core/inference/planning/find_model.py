"""Which model a call means: a folder, the name of a trained one, or the last that the project trained."""

from __future__ import annotations

import logging
from pathlib import Path

from stylegan_core.inference.job.spec import PlanError
from stylegan_core.storage.model_folder import MODEL_CARD

log = logging.getLogger(__name__)


def find_model(given: str | Path | None, models: Path, root: Path | None = None) -> Path:
    """The folder of a model.

    Args:
        given: a model folder, or the name of one in ``models``; None is the last trained.
        models: the project's folder of models.
        root: what a relative ``given`` is relative to; default: the working folder.

    Raises:
        PlanError: there is no such model.
    """
    if given is not None:
        for folder in ((root or Path()) / Path(given).expanduser(), models / given):
            if (folder / MODEL_CARD).is_file():
                return folder
        raise PlanError(f"{given} is no model: no {MODEL_CARD} in it; {_choice(models)}")
    trained = _trained(models)
    if not trained:
        raise PlanError(f"there is no model in {models}: train one, or name a model folder with --model")
    if len(trained) > 1:
        log.info("the model is %s, the last trained of %d in %s", trained[0].name, len(trained), models)
    return trained[0]


def _trained(models: Path) -> list[Path]:
    """Model folders, the last trained first."""
    cards = list(models.glob(f"*/{MODEL_CARD}"))
    return [card.parent for card in sorted(cards, key=lambda card: (-card.stat().st_mtime_ns, card))]


def _choice(models: Path) -> str:
    names = [folder.name for folder in _trained(models)]
    if not names:
        return f"{models} has none either"
    return f"choose one with --model: {', '.join(names)} (the last trained first)"
